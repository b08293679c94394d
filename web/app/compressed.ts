import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const LARGE = 500_000;

/** Compress the files at build time: compression in the server would delay the delivery of tokens. */
export const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  async writeBundle({ dir = "." }, bundle) {
    for (const file of Object.values(bundle)) {
      const content = file.type === "chunk" ? file.code : file.source;
      if (!/\.(js|css)$/.test(file.fileName)) continue;
      // The best quality takes 30 seconds for an editor of several megabytes.
      const quality = content.length > LARGE ? 9 : constants.BROTLI_MAX_QUALITY;
      const params = { [constants.BROTLI_PARAM_QUALITY]: quality };
      await writeFile(join(dir, `${file.fileName}.br`), brotliCompressSync(content, { params }));
      await writeFile(join(dir, `${file.fileName}.gz`), gzipSync(content, { level: 9 }));
    }
  },
};
