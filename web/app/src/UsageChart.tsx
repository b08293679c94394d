import { day as formatDay, dollars, number, t } from "./messages";
import type { Chart } from "./usageChart";

const [HEIGHT, STEP, BAR] = [120, 20, 14];
/** The number of colors in style.css. Further models share the last one. */
const COLORS = 5;

/** Columns of the usage by day, stacked by model. The table below it has the same figures for those who do not see it. */
export function UsageChart({ chart }: { chart: Chart }) {
  const { columns, models, maximum, inDollars } = chart;
  const amount = (value: number) => (inDollars ? (dollars(String(value)) ?? "") : t("usage.total", { count: value, tokens: number(value) }));
  const [first, last] = [columns[0], columns.at(-1)];
  if (!first || !last) return null;
  const color = (model: string) => `series${Math.min(models.indexOf(model), COLORS - 1)}`;
  return (
    <figure className="chart">
      <svg viewBox={`0 0 ${columns.length * STEP} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t("usage.chart", { first: formatDay(first.day), last: formatDay(last.day), maximum: amount(maximum) })}>
        {columns.map(({ day, value, segments }, position) => (
          <g key={day}>
            <title>{t("usage.column", { day: formatDay(day), amount: amount(value) })}</title>
            <rect className="track" x={position * STEP} y={0} width={STEP} height={HEIGHT} />
            {segments.map(({ model, start, size }) => (
              <rect key={model} className={color(model)} x={position * STEP + (STEP - BAR) / 2} y={(1 - start - size) * HEIGHT} width={BAR} height={size * HEIGHT} />
            ))}
          </g>
        ))}
      </svg>
      <figcaption>
        <span>{formatDay(first.day)}</span>
        <ul>{models.map((model) => <li key={model}><i className={color(model)} aria-hidden="true" />{model}</li>)}</ul>
        <span>{formatDay(last.day)}</span>
      </figcaption>
      <p className="note">{t("usage.most", { amount: inDollars ? (dollars(String(maximum)) ?? "") : number(maximum) })}</p>
    </figure>
  );
}
