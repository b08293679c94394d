import { useEffect, useState } from "react";
import { useStore } from "./store";
import { toasts } from "./toasts";

const KEY = "tertulia:folded";

/** Whether the conversations are shown: in a drawer on a narrow screen, or else in a column that the user can fold. */
export function useSidebar(conversation: string | null) {
  const [drawer, setDrawer] = useState(false);
  const [folded, setFolded] = useState(localStorage.getItem(KEY) === "true");
  useEffect(() => setDrawer(false), [conversation]);
  // The drawer would cover a notice, such as the one that offers to undo a deletion.
  const notices = useStore(toasts).length;
  useEffect(() => {
    if (notices > 0) setDrawer(false);
  }, [notices]);
  function fold(value: boolean) {
    localStorage.setItem(KEY, String(value));
    setFolded(value);
  }
  // As in style.css.
  const isNarrow = () => matchMedia("(max-width: 48rem)").matches;
  return {
    drawer,
    folded,
    close: () => setDrawer(false),
    show: () => (isNarrow() ? setDrawer(true) : fold(false)),
    toggle: () => (isNarrow() ? setDrawer(!drawer) : fold(!folded)),
  };
}
