export interface Device {
  /** The browser or program; null if it is not known. */
  readonly program: string | null;
  /** The operating system; null if it is not known. */
  readonly system: string | null;
}

// Most browsers also name those that they are compatible with, so the order matters.
const PROGRAMS: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(Firefox|FxiOS)\//, "Firefox"],
  [/\b(Chrome|Chromium|CriOS|HeadlessChrome)\//, "Chrome"],
  [/\bVersion\/[\d.]+.* Safari\//, "Safari"],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\b(iPhone|iPod)\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bmacOS\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
];

/** Return the program and the system of a `User-Agent`, for a list of devices. */
export function deviceOf(userAgent: string): Device {
  const first = (patterns: readonly (readonly [RegExp, string])[]) => patterns.find(([pattern]) => pattern.test(userAgent))?.[1] ?? null;
  return { program: first(PROGRAMS) ?? /^([\w.-]+)(?:\/|$)/.exec(userAgent.replace(/^Mozilla\//, ""))?.[1] ?? null, system: first(SYSTEMS) };
}
