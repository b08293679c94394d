// Scripts that try to leave a preview of the page.
/** What scripts of a preview could try, to send a text to the address E, or to the port U. */
const ATTEMPTS = {
  fetch: "fetch(E)",
  beacon: "navigator.sendBeacon(E, 'x')",
  socket: "new WebSocket(E.replace('http', 'ws'))",
  image: "new Image().src = E",
  style: "document.write(`<style>@import '${E}'; body { background: url(${E}) }</style>`)",
  script: "document.write(`<script src='${E}'><\\/script>`)",
  links: "for (const rel of ['stylesheet', 'preload', 'prefetch', 'preconnect', 'modulepreload', 'icon']) document.head.append(Object.assign(document.createElement('link'), { rel, as: 'image', href: E }))",
  frame: "document.write(`<iframe src='${E}'></iframe><object data='${E}'></object>`)",
  media: "document.write(`<video src='${E}' poster='${E}'></video><svg><image href='${E}'/></svg>`)",
  worker: "new Worker(URL.createObjectURL(new Blob([`fetch('${E}')`])))",
  form: "document.write(`<form action='${E}'></form>`); document.forms[0].submit()",
  link: "document.write(`<a href='${E}' ping='${E}'>a</a>`); document.querySelector('a').click()",
  blankLink: "document.write(`<a href='${E}' target=_blank ping='${E}'>a</a>`); document.querySelector('a').click()",
  topLink: "document.write(`<a href='${E}' target=_top>a</a>`); document.querySelector('a').click()",
  download: "document.write(`<a href='${E}' download>a</a>`); document.querySelector('a').click()",
  refresh: "document.write(`<meta http-equiv=refresh content='0;url=${E}'>`)",
  itself: "location = E",
  top: "top.location = E",
  popup: "open(E)",
  data: "location = `data:text/html,<script>fetch('${E}')<\\/script>`",
  nested: "document.write(`<iframe srcdoc=\"<script>fetch('${E}')<\\/script>\"></iframe>`)",
  call: "const call = new RTCPeerConnection({ iceServers: [{ urls: `stun:127.0.0.1:${U}` }] }); call.createDataChannel(''); call.createOffer().then((offer) => call.setLocalDescription(offer))",
  nestedCall: "document.write(`<iframe srcdoc=\"<script>const call = new RTCPeerConnection({ iceServers: [{ urls: 'stun:127.0.0.1:${U}' }] }); call.createDataChannel(1); call.createOffer().then((offer) => call.setLocalDescription(offer))<\\/script>\"></iframe>`)",
  cookie: "document.cookie",
  storage: "localStorage.length",
  page: "parent.document.title",
};

/** Run each attempt in a separate preview, and return the results. */
export async function attempt(page, address, port) {
  return page.evaluate(([attempts, E, U]) => Promise.all(Object.entries(attempts).map(([name, code]) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-scripts");
    frame.src = "sandbox";
    addEventListener("message", ({ source, data }) => {
      if (source !== frame.contentWindow) return;
      if (data !== "ready") return void setTimeout(resolve, 700, [name, data]);
      const script = `const E = "${E}?${name}", U = ${U}; try { ${code}; parent.postMessage("done", "*") } catch (error) { parent.postMessage(error.name, "*") }`;
      // A frame that navigates may report nothing, but these do not navigate.
      if (!["cookie", "storage", "page"].includes(name)) setTimeout(resolve, 1500, [name, null]);
      frame.contentWindow.postMessage(`<head></head><body><script>${script.replaceAll("</script>", "<\\/script>")}</script>`, "*");
    });
    document.body.append(frame);
  }))), [ATTEMPTS, address, port]);
}
