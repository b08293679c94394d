import { Dialog } from "./Dialog";
import { t } from "./messages";
import { keysText, SHORTCUTS, type ShortcutName } from "./shortcuts";
import { useStore } from "./store";
import { isMac, shortcutsOn, turnShortcuts } from "./useShortcuts";

/** The keys of the message box, which always work. */
const COMPOSER = [["Enter", "keys.enter"], ["Shift+Enter", "keys.shiftEnter"], ["↑", "keys.up"]] as const;

/** The keyboard shortcuts, and the switch that turns them off. */
export default function KeysDialog({ onClose }: { onClose: () => void }) {
  const on = useStore(shortcutsOn);
  return (
    <Dialog title={t("keys.title")} onClose={onClose}>
      <h3>{t("keys.inComposer")}</h3>
      <dl className="keys">
        {COMPOSER.map(([keys, text]) => <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{t(text)}</dd></div>)}
      </dl>
      <h3>{t("keys.everywhere")}</h3>
      <dl className="keys" data-off={!on}>
        {(Object.keys(SHORTCUTS) as ShortcutName[]).map((name) => (
          <div key={name}>
            <dt>{SHORTCUTS[name].map((_, position) => <kbd key={position}>{keysText(name, isMac, position)}</kbd>)}</dt>
            <dd>{t(`keys.${name}`)}</dd>
          </div>
        ))}
      </dl>
      <p className="note">{t("keys.note")}</p>
      <label className="check">
        <input type="checkbox" checked={on} onChange={({ target }) => turnShortcuts(target.checked)} />
        {t("keys.use")}
      </label>
    </Dialog>
  );
}
