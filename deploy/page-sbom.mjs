// Writes what the page is made of, in CycloneDX's form, as package-lock.json has it: node deploy/page-sbom.mjs > page.cdx.json
// `npm sbom` leaves out what a workspace shares with others of which it is a development dependency.
import { readFile } from "node:fs/promises";

const { packages } = JSON.parse(await readFile("package-lock.json", "utf8"));
const page = "web/app";

/** Where Node finds a package that is asked for in a folder: in the nearest node_modules upwards. */
function found(name, folder) {
  for (let place = folder; ; place = place.slice(0, Math.max(place.lastIndexOf("/"), 0))) {
    const path = `${place}${place && "/"}node_modules/${name}`;
    if (packages[path]) return packages[path].link ? packages[path].resolved : path;
    if (!place) return undefined;
  }
}

const paths = new Set();
const waiting = [page];
while (waiting.length > 0) {
  const path = waiting.pop();
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = packages[path];
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  for (const name of [...Object.keys(dependencies), ...peers]) {
    const place = found(name, path);
    if (place && !paths.has(place)) {
      paths.add(place);
      waiting.push(place);
    }
  }
}

function component(path) {
  const { name = path.split("node_modules/").at(-1), version, license, integrity } = packages[path];
  const [kind, digest] = integrity?.split("-") ?? [];
  return {
    type: "library",
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(license && { licenses: [{ license: { id: license } }] }),
    ...(kind === "sha512" && { hashes: [{ alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") }] }),
  };
}

const { name, version } = packages[page];
const sbom = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: { component: { type: "application", name, version } },
  components: [...paths].sort().map(component),
};
console.log(JSON.stringify(sbom, undefined, 2));
