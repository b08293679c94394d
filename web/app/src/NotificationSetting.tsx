import { t } from "./messages";
import { notificationsBlocked, notify, turnNotifications } from "./notifications";
import { useStore } from "./store";

/** The switch for notifications of the browser. */
export function NotificationSetting() {
  const on = useStore(notify);
  return (
    <>
      <h3>{t("notify.title")}</h3>
      <label className="check">
        <input type="checkbox" checked={on} onChange={({ target }) => void turnNotifications(target.checked)} />
        {t("notify.setting")}
      </label>
      {on && notificationsBlocked() && <p className="note" role="status">{t("notify.blocked")}</p>}
    </>
  );
}
