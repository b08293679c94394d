import { showMessages, type Messages } from "./messages";
import { en } from "./messages/en";
import { store } from "./store";

interface Description {
  /** Its name in itself. */
  readonly name: string;
  /** Its BCP 47 tag, with the region or script that the texts are written for. */
  readonly tag: string;
  readonly dir?: "rtl";
  readonly load: () => Promise<Messages>;
}

/** The languages of the page. All but English are loaded when they are needed. */
export const LANGUAGES = {
  ar: { name: "العربية", tag: "ar", dir: "rtl", load: async () => (await import("./messages/ar")).ar },
  de: { name: "Deutsch", tag: "de", load: async () => (await import("./messages/de")).de },
  en: { name: "English", tag: "en", load: () => Promise.resolve(en) },
  es: { name: "Español", tag: "es", load: async () => (await import("./messages/es")).es },
  fr: { name: "Français", tag: "fr", load: async () => (await import("./messages/fr")).fr },
  ja: { name: "日本語", tag: "ja", load: async () => (await import("./messages/ja")).ja },
  pt: { name: "Português (Brasil)", tag: "pt-BR", load: async () => (await import("./messages/pt")).pt },
  zh: { name: "简体中文", tag: "zh-CN", load: async () => (await import("./messages/zh")).zh },
} as const satisfies Record<string, Description>;

export type Language = keyof typeof LANGUAGES;
export type LanguageChoice = Language | "browser";
const KEY = "tertulia:language";

export const languageChoice = store<LanguageChoice>(readChoice());

export function isLanguage(value: string | null): value is Language {
  return value !== null && Object.hasOwn(LANGUAGES, value);
}

function readChoice(): LanguageChoice {
  const stored = localStorage.getItem(KEY);
  return isLanguage(stored) ? stored : "browser";
}

export async function chooseLanguage(choice: LanguageChoice): Promise<void> {
  if (choice === "browser") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, choice);
  languageChoice.set(choice);
  await applyLanguage();
}

/** Show the page in the chosen language, or in the first of the browser's languages that the page has. */
export async function applyLanguage(): Promise<void> {
  const choice = languageChoice.get();
  const language = choice === "browser" ? bestLanguage(navigator.languages) : choice;
  const description: Description = LANGUAGES[language];
  const messages = await description.load().catch(() => null);
  // Another language was chosen while this one was loaded.
  if (languageChoice.get() !== choice) return;
  // Without its texts, for example while the server is unreachable, the page stays as it is.
  if (!messages) return;
  document.documentElement.lang = description.tag;
  document.documentElement.dir = description.dir ?? "ltr";
  showMessages({
    messages,
    language: description.tag,
    locale: localeFor(description.tag, navigator.languages),
    rightToLeft: description.dir === "rtl",
  });
}

export function bestLanguage(preferred: readonly string[]): Language {
  for (const tag of preferred) {
    const { language } = new Intl.Locale(tag);
    if (isLanguage(language)) return language;
  }
  return "en";
}

/** Return the user's variant of a language, such as `en-GB`, for dates and numbers. */
export function localeFor(tag: string, preferred: readonly string[]): string {
  const wanted = new Intl.Locale(tag).maximize();
  const variant = preferred.find((other) => {
    const { language, script } = new Intl.Locale(other).maximize();
    return language === wanted.language && script === wanted.script;
  });
  return variant ?? tag;
}
