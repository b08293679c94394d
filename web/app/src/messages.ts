import { en } from "./messages/en";

export type MessageKey = keyof typeof en;
export type Values = Readonly<Record<string, string | number>>;

/** The language of the page's texts, dates and numbers, as a BCP 47 tag. */
export const LOCALE = "en";
const MESSAGES: Readonly<Record<MessageKey, string>> = en;

const plurals = new Intl.PluralRules(LOCALE);
const numbers = new Intl.NumberFormat(LOCALE);
const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });
const PLURAL = /\{(\w+), plural,((?:\s*(?:=\d+|\w+) \{(?:[^{}]|\{\w+\})*\})+)\s*\}/g;
const FORM = /(=\d+|\w+) \{((?:[^{}]|\{\w+\})*)\}/g;

/** Return a text of the page with its values. */
export function t(key: MessageKey, values: Values = {}): string {
  return format(MESSAGES[key], values);
}

/** Return the text of a code of the API, such as `failure.OVERLOADED`, or another text if the page does not know the code. */
export function forCode(group: string, code: string, other: string): string {
  const key = `${group}.${code}`;
  return key in MESSAGES ? t(key as MessageKey) : other;
}

/** Format a message of the subset of ICU MessageFormat that messages/en.ts describes. */
export function format(message: string, values: Values): string {
  return message
    .replace(PLURAL, (_, name: string, forms: string) => {
      const count = Number(values[name]);
      const texts = Object.fromEntries(Array.from(forms.matchAll(FORM), ([, form, text]) => [form, text]));
      return (texts[`=${count}`] ?? texts[plurals.select(count)] ?? texts.other ?? "").replaceAll("#", number(count));
    })
    .replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Return the pieces of a text that contains `<code>`: those at odd positions are code. */
export function codePieces(key: MessageKey, values: Values = {}): string[] {
  return MESSAGES[key].split(/<\/?code>/).map((piece) => format(piece, values));
}

/** Return a number for people. Large ones are shortened, such as 12K. */
export function number(value: number): string {
  return (value < 10_000 ? numbers : compact).format(value);
}

export function dollars(amount: string | null): string | null {
  if (amount === null) return null;
  const value = Number(amount);
  // Answers often cost less than a cent.
  const digits = value === 0 || value >= 1 ? 2 : value >= 0.001 ? 4 : 6;
  const options = { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" } as const;
  return new Intl.NumberFormat(LOCALE, { ...options, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function bytes(amount: number): string {
  const [value, unit] = amount < 1_000_000 ? [Math.ceil(amount / 1000), "kilobyte"] : [amount / 1_000_000, "megabyte"];
  return new Intl.NumberFormat(LOCALE, { style: "unit", unit, maximumFractionDigits: 1 }).format(value);
}

export function date(iso: string): string {
  return new Date(iso).toLocaleDateString(LOCALE, { dateStyle: "medium" });
}

/** Return the month of a date, such as `June 2026`. */
export function month(iso: string): string {
  return new Date(iso).toLocaleDateString(LOCALE, { month: "long", year: "numeric" });
}

export function dateTime(iso: string): string {
  return new Date(iso).toLocaleString(LOCALE, { dateStyle: "medium", timeStyle: "short" });
}

/** Return the time until something, such as `12s` or `3m 5s`. */
export function duration(seconds: number): string {
  const unit = (value: number, name: "second" | "minute" | "hour") =>
    new Intl.NumberFormat(LOCALE, { style: "unit", unit: name, unitDisplay: "narrow" }).format(value);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${unit(hours, "hour")} ${unit(minutes, "minute")}`;
  return minutes > 0 ? `${unit(minutes, "minute")} ${unit(seconds % 60, "second")}` : unit(seconds, "second");
}

const lists = new Intl.ListFormat(LOCALE, { style: "short", type: "unit" });

/** Return items as one text, such as `a, b, c`. */
export function list(items: readonly string[]): string {
  return lists.format(items);
}
