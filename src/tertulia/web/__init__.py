"""The pages that the server shows to browsers.

`make page` builds the page at / and GraphiQL from `web/app`, in the root of the repository, into `build/`. The other
files are served as they are. They have no inline scripts and load nothing from other hosts. `stream.js` is a symbolic
link to the reducer in `web/packages`. All pages use only the public API, and the server imports nothing from here.
"""
