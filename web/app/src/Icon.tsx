/** SVG paths in a view box of 24 by 24. */
const PATHS = {
  archive: "M4 8h16M5 8v11h14V8M4 5h16v3H4zM10 12h4",
  branch: "M7 4v10a4 4 0 0 0 4 4h6M14 15l3 3-3 3",
  check: "M5 12.5l4.5 4.5L19 7.5",
  clip: "M19 11l-7.5 7.5a4.5 4.5 0 0 1-6.4-6.4L13 4.2a3 3 0 0 1 4.3 4.3l-7.9 7.8a1.5 1.5 0 0 1-2.1-2.1L14 7.5",
  close: "M6 6l12 12M18 6L6 18",
  comment: "M5 5h14v10h-8l-4 4v-4H5z",
  copy: "M9 9h10v11H9zM15 9V5H5v11h4",
  down: "M12 5v14M6 13l6 6 6-6",
  download: "M12 4v11M8 11l4 4 4-4M5 20h14",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  export: "M12 4v11M8 8l4-4 4 4M5 14v6h14v-6",
  file: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 2-2 5 5M15 9h.01",
  keyboard: "M3 7h18v10H3zM7 10.5h.01M11 10.5h.01M15 10.5h.01M8 14h8",
  menu: "M4 7h16M4 12h16M4 17h16",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  next: "M9 5l7 7-7 7",
  panel: "M4 5h16v14H4zM13 5v14",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM5 20c1-4 4-5 7-5s6 1 7 5",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  plus: "M12 5v14M5 12h14",
  previous: "M15 5l-7 7 7 7",
  retry: "M19 12a7 7 0 1 1-2-5M17 3v4h-4",
  send: "M12 19V5M6 11l6-6 6 6",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4.5v5M8 14.5v5",
  share: "M9 10.5l6-3M9 13.5l6 3M6.5 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM17.5 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM17.5 20a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  stop: "M7 7h10v10H7z",
  tag: "M4 4h8l8 8-8 8-8-8zM8 8h.01",
  thumbDown: "M7 4H4v10h3zM7 13l4 7a2.5 2.5 0 0 0 2-3v-4h5a2 2 0 0 0 2-2.5l-1.5-5a2 2 0 0 0-2-1.5H7",
  thumbUp: "M7 20H4V10h3zM7 11l4-7a2.5 2.5 0 0 1 2 3v4h5a2 2 0 0 1 2 2.5l-1.5 5a2 2 0 0 1-2 1.5H7",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
} as const;

/** Icons that point in the direction of reading. */
const DIRECTED: ReadonlySet<string> = new Set(["branch", "next", "previous"] satisfies (keyof typeof PATHS)[]);

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className={DIRECTED.has(name) ? "icon directed" : "icon"} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
