import formatMessage, { type CompiledMessage, type FormatValues } from "icu-minify/format";
import { en } from "./messages/en";
import { store } from "./store";

export type MessageKey = keyof typeof en;
/** The page's texts in one language. The page's build replaces them by `CompiledMessage`s. */
export type Messages = Readonly<Record<MessageKey, string>>;
export type Values = Readonly<Record<string, string | number>>;

interface Shown {
  readonly messages: Readonly<Record<MessageKey, CompiledMessage>>;
  /** The language of the messages, which determines their plural forms. */
  readonly language: string;
  /** The language and region of dates and numbers. */
  readonly locale: string;
  readonly rightToLeft: boolean;
}

/** The texts that the page shows. Components that are not rendered again with the page use this store. */
export const shown = store<Shown>({ messages: en, language: "en", locale: "en", rightToLeft: false });

/** Show the page in a language. Languages are BCP 47 tags. */
export function showMessages(change: Omit<Shown, "messages"> & { readonly messages: Messages }): void {
  shown.set(change);
}

/** Return a function that creates each formatter once for a locale. */
function remember<Options, Formatter>(create: new (locale: string, options?: Options) => Formatter) {
  const created = new Map<string, Formatter>();
  return (options?: Options, locale = shown.get().locale): Formatter => {
    const key = `${locale} ${JSON.stringify(options)}`;
    const formatter = created.get(key) ?? new create(locale, options);
    created.set(key, formatter);
    return formatter;
  };
}

const numbers = remember<Intl.NumberFormatOptions, Intl.NumberFormat>(Intl.NumberFormat);
const dates = remember<Intl.DateTimeFormatOptions, Intl.DateTimeFormat>(Intl.DateTimeFormat);
const lists = remember<Intl.ListFormatOptions, Intl.ListFormat>(Intl.ListFormat);
const plurals = remember<Intl.PluralRulesOptions, Intl.PluralRules>(Intl.PluralRules);

const FORMATTERS = {
  getNumberFormat: (_: unknown, options?: Intl.NumberFormatOptions) => numbers(options),
  getDateTimeFormat: (_: unknown, options?: Intl.DateTimeFormatOptions) => dates(options),
  getPluralRules: (_: unknown, options?: Intl.PluralRulesOptions) => plurals(options, shown.get().language),
};

/** Return a text of the page with its values. */
export function t(key: MessageKey, values: Values = {}): string {
  return pieces<string>(key, values).join("");
}

/** Return a text of the page whose tags, such as `<code>`, become elements. */
export function pieces<Element>(key: MessageKey, values: FormatValues<Element>): (string | Element)[] {
  const { messages, locale, rightToLeft } = shown.get();
  const shownValues = rightToLeft ? isolated(values) : values;
  return [formatMessage<Element>(messages[key], locale, shownValues, { formatters: FORMATTERS })].flat() as (string | Element)[];
}

/** Keep the words and punctuation of values, such as names of files, in their own order within a text from right to left. */
function isolated<Element>(values: FormatValues<Element>): FormatValues<Element> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === "string" ? `\u2068${value}\u2069` : value]),
  );
}

/** Return the text of a code of the API, such as `failure.OVERLOADED`, or another text if the page does not know the code. */
export function forCode(group: string, code: string, other: string): string {
  const key = `${group}.${code}`;
  return key in en ? t(key as MessageKey) : other;
}

/** Return a number for people. Large ones are shortened, such as 12K. */
export function number(value: number): string {
  return (value < 10_000 ? numbers() : numbers({ notation: "compact", maximumFractionDigits: 1 })).format(value);
}

export function dollars(amount: string | null): string | null {
  if (amount === null) return null;
  const value = Number(amount);
  // Answers often cost less than a cent.
  const digits = value === 0 || value >= 1 ? 2 : value >= 0.001 ? 4 : 6;
  const options = { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" } as const;
  const text = numbers({ ...options, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  // Otherwise the text around it would move the sign of `US$`.
  return shown.get().rightToLeft ? `\u2066${text}\u2069` : text;
}

export function bytes(amount: number): string {
  const [value, unit] = amount < 1_000_000 ? [Math.ceil(amount / 1000), "kilobyte"] : [amount / 1_000_000, "megabyte"];
  return numbers({ style: "unit", unit, maximumFractionDigits: 1 }).format(value);
}

export function date(iso: string): string {
  return dates({ dateStyle: "medium" }).format(new Date(iso));
}

/** Return the month of a date, such as `June 2026`. */
export function month(iso: string): string {
  return dates({ month: "long", year: "numeric" }).format(new Date(iso));
}

/** Return a day of the calendar, such as `2026-06-01`, for people. */
export function day(iso: string): string {
  return dates({ dateStyle: "medium", timeZone: "UTC" }).format(new Date(iso));
}

export function dateTime(iso: string): string {
  return dates({ dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

/** Return the time until something, such as `12 sec` or `3 min 5 sec`. */
export function duration(seconds: number): string {
  const unit = (value: number, name: "second" | "minute" | "hour") => numbers({ style: "unit", unit: name, unitDisplay: "short" }).format(value);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const parts = hours > 0
    ? [unit(hours, "hour"), unit(minutes, "minute")]
    : [...(minutes > 0 ? [unit(minutes, "minute")] : []), unit(seconds % 60, "second")];
  return lists({ style: "narrow", type: "unit" }).format(parts);
}

/** Return items as one text, such as `a, b, c`. */
export function list(items: readonly string[]): string {
  return items.join(t("common.comma"));
}
