import { useStore } from "./store";
import { toasts } from "./toasts";

/** Notices that disappear by themselves. */
export function Toasts() {
  return (
    <div className="toasts" role="status">
      {useStore(toasts).map(({ key, text, action }) => (
        <p key={key} className="toast">
          <span dir="auto">{text}</span>
          {action && <button type="button" className="quiet" onClick={action.run}>{action.label}</button>}
        </p>
      ))}
    </div>
  );
}
