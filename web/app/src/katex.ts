// Loaded when the first formula is shown.
import "katex/dist/katex.min.css";

export { default } from "katex";
