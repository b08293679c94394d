import { lazy, Suspense, useEffect, useMemo, useRef } from "react";
import { opened, register, type Artifact } from "./artifacts";
import { describe, opens, type Code } from "./codeBlocks";
import { CopyButton } from "./CopyButton";
import { Highlighted } from "./Highlighted";
import { Icon } from "./Icon";
import { shown, t } from "./messages";
import { useStore } from "./store";

const Diagram = lazy(() => import("./Diagram"));

interface Props extends Code {
  /** Whether Claude has finished the block. */
  readonly complete: boolean;
}

export function CodeBlock(props: Props) {
  const source = <Source {...props} />;
  if (props.language !== "mermaid" || !props.complete) return source;
  return <Suspense fallback={source}><Diagram source={props.code} fallback={source} /></Suspense>;
}

function Source({ code, language, info, complete }: Props) {
  useStore(shown);
  const figure = useRef<HTMLElement>(null);
  const artifact = useRef<Artifact | null>(null);
  const description = useMemo(() => describe({ code, language, info }), [code, language, info]);
  const canOpen = complete && opens(code, description);
  useEffect(() => {
    if (!canOpen || !figure.current) return;
    artifact.current = { ...description, element: figure.current, code, url: null };
    return register(artifact.current);
  }, [canOpen, code, description]);
  return (
    <figure className="code" dir="ltr" ref={figure}>
      <figcaption>
        <span>{language ?? "text"}</span>
        <span>
          {canOpen && (
            <button type="button" className="quiet" onClick={() => opened.set(artifact.current)} aria-label={t("artifact.open")} title={t("artifact.open")}>
              <Icon name="panel" />
            </button>
          )}
          <CopyButton text={code} label={t("copy.code")} />
        </span>
      </figcaption>
      <Highlighted code={code} language={language} />
    </figure>
  );
}
