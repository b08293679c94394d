import { chooseLanguage, LANGUAGES, languageChoice, type LanguageChoice } from "./language";
import { t } from "./messages";
import { useStore } from "./store";

/** A choice of the page's language. Each language is named in itself. */
export function Languages() {
  return (
    <select
      aria-label={t("account.language")}
      value={useStore(languageChoice)}
      onChange={({ target }) => void chooseLanguage(target.value as LanguageChoice)}
    >
      <option value="browser">{t("account.browserLanguage")}</option>
      {Object.entries(LANGUAGES).map(([language, { name, tag }]) => <option key={language} value={language} lang={tag}>{name}</option>)}
    </select>
  );
}
