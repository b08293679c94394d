import { useEffect, useState } from "react";

/** How long the search waits for the next letter, in milliseconds. */
const PAUSE_MS = 250;

interface Props {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** A field that searches when no letter follows. */
export function Search({ label, value, onChange }: Props) {
  const [typed, setTyped] = useState(value);
  useEffect(() => {
    if (typed.trim() === value) return;
    const timer = setTimeout(() => onChange(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return <label className="grows">{label}<input type="search" value={typed} autoComplete="off" spellCheck={false} onChange={({ target }) => setTyped(target.value)} /></label>;
}
