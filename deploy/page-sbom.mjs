// Writes the SBOM of the page in CycloneDX format from package-lock.json: node deploy/page-sbom.mjs > page.cdx.json
// `npm sbom` is not used: it omits dependencies that are development dependencies of another workspace.
import { readFile } from "node:fs/promises";

const { packages } = JSON.parse(await readFile("package-lock.json", "utf8"));
const page = "web/app";
// Packages whose package.json names no license; their license files do.
const licensesInFiles = { khroma: "MIT" };

/** Return the path where Node.js finds a package from a folder: in the nearest node_modules of it or its parents. */
function resolve(name, folder) {
  for (let parent = folder; ; parent = parent.slice(0, Math.max(parent.lastIndexOf("/"), 0))) {
    const path = `${parent}${parent && "/"}node_modules/${name}`;
    if (packages[path]) return packages[path].link ? packages[path].resolved : path;
    if (!parent) return undefined;
  }
}

const paths = new Set();
const waiting = [page];
while (waiting.length > 0) {
  const path = waiting.pop();
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = packages[path];
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  for (const name of [...Object.keys(dependencies), ...peers]) {
    const resolved = resolve(name, path);
    if (resolved && !paths.has(resolved)) {
      paths.add(resolved);
      waiting.push(resolved);
    }
  }
}

function component(path) {
  const { name = path.split("node_modules/").at(-1), version, license = licensesInFiles[name], integrity } = packages[path];
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
