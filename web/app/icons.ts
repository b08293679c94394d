import { crc32, deflateSync } from "node:zlib";

/** An app icon: the speech bubble of src/tertulia/web/icon.svg, in its view box of 32 by 32. */
const BUBBLE = [[4, 5], [28, 5], [28, 22], [14, 22], [7, 28], [7, 22], [4, 22]] as const;
/** The lines of text in the bubble: from, to. */
const LINES = [[10, 11, 22], [10, 16, 18]] as const;
const HALF_STROKE = 1.25;
const SAMPLES = 4;

type Color = readonly [number, number, number];
const BUBBLE_COLOR: Color = [0xb4, 0x53, 0x2a];
const LIGHT: Color = [0xff, 0xff, 0xff];
const PAGE: Color = [0xfa, 0xf9, 0xf6];

/**
 * Return the icon as a PNG with an opaque background: launchers and iOS mask it, and iOS shows no SVG.
 *
 * @param size The width and height in pixels.
 * @param scale The part of the width that the view box fills. Masks may cut off everything outside of the inner 80 %.
 */
export function pngIcon(size: number, scale: number): Uint8Array {
  const rows = Buffer.alloc(size * (1 + size * 3));
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      pixel(x, y, size, scale).forEach((value, channel) => rows.writeUInt8(value, y * (1 + size * 3) + 1 + x * 3 + channel));
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  // Eight bits per channel, RGB.
  header.set([8, 2], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

function pixel(x: number, y: number, size: number, scale: number): number[] {
  const sum = [0, 0, 0];
  for (let sample = 0; sample < SAMPLES ** 2; sample += 1) {
    const across = x + ((sample % SAMPLES) + 0.5) / SAMPLES;
    const down = y + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES;
    const place = (value: number) => 16 + ((value / size - 0.5) / scale) * 32;
    color(place(across), place(down)).forEach((value, channel) => (sum[channel] = (sum[channel] ?? 0) + value));
  }
  return sum.map((value) => Math.round(value / SAMPLES ** 2));
}

function color(x: number, y: number): Color {
  if (LINES.some(([from, at, to]) => Math.hypot(x - Math.min(Math.max(x, from), to), y - at) < HALF_STROKE)) return LIGHT;
  return isInBubble(x, y) ? BUBBLE_COLOR : PAGE;
}

/** Count the edges to the right of a point: an odd number surrounds it. */
function isInBubble(x: number, y: number): boolean {
  return BUBBLE.filter(([x1, y1], position) => {
    const [x2, y2] = BUBBLE[(position + 1) % BUBBLE.length] ?? BUBBLE[0];
    return y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1);
  }).length % 2 === 1;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const content = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(content.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(content, 4);
  framed.writeUInt32BE(crc32(content), content.length + 4);
  return framed;
}
