import type { ReactNode } from "react";
import { dateTime, dollars, number } from "../messages";
import type { CostFragment } from "./operations";
import { address, follow } from "./route";
import { text } from "./texts";

type Tokens = Omit<CostFragment, "costUsd">;

export function costOf({ costUsd }: Pick<CostFragment, "costUsd">): string {
  return dollars(costUsd) ?? text.usage.unknownCost;
}

export function tokensOf(usage: Tokens): string {
  return number(tokenCount(usage));
}

export function tokenCount({ inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens }: Tokens): number {
  return inputTokens + outputTokens + cacheReadTokens + cacheWriteTokens;
}

/** A time, or another text if it is null. */
export function When({ at, otherwise = text.none }: { at: string | null; otherwise?: string }) {
  return at === null ? otherwise : <time dateTime={at}>{dateTime(at)}</time>;
}

/** A link to what the console shows of a user. */
export function UserLink({ user }: { user: { readonly id: string; readonly name: string } | null }) {
  if (!user) return text.none;
  return <a dir="auto" href={address("users", { user: user.id })} onClick={follow}>{user.name}</a>;
}

export function Badge({ children, bad = false }: { children: ReactNode; bad?: boolean }) {
  return <span className={bad ? "badge bad" : "badge"}>{children}</span>;
}

/** What sets a user apart: being disabled, or being an operator. */
export function Marks({ user: { disabledAt, role } }: { user: { readonly disabledAt: string | null; readonly role: string | null } }) {
  return (
    <>
      {disabledAt !== null && <Badge bad>{text.users.disabled}</Badge>}
      {role !== null && <Badge>{role === "operator" ? text.users.operator : role}</Badge>}
    </>
  );
}

/** Names and values, such as those of one user. Those without a value are left out. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts.filter(([, value]) => value !== null).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

export const nodesOf = <Node,>({ edges }: { readonly edges: readonly { readonly node: Node }[] }): readonly Node[] => edges.map(({ node }) => node);
