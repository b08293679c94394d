"""The pages that the server shows to browsers.

`make page` builds the page at / from `web/app`, at the top of the repository, into `build/`. The other files are served
as they are: no inline scripts, nothing from other hosts. `stream.js` is a link to the reducer of `web/packages`. All
pages are clients of the public API like any other; the server imports nothing from here.
"""
