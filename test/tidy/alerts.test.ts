/** The rules of config/prometheus-alerts.yaml, read by the grammar of Prometheus' own editor. */

import { parser } from '@prometheus-io/lezer-promql';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { METRICS } from '../../src/operate/observe/metric-names.ts';
import { namedRows, read } from './repository.ts';

const DURATION = /^[1-9]\d*[smhd]$/;

/** What Prometheus takes of an alerting rule, and no more: an unknown key is an error there as well. */
const FILE = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Rowcall[A-Za-z]+$/),
          expr: z.string(),
          for: z.string().regex(DURATION).optional(),
          labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
        }),
      ),
    }),
  ),
});

const rules = FILE.parse(parse(read('config/prometheus-alerts.yaml'))).groups.flatMap(
  (group) => group.rules,
);
const documented = namedRows(read('docs/METRICS.md'));

interface Read {
  readonly errors: readonly string[];
  readonly metrics: readonly string[];
  readonly labels: readonly string[];
}

function readExpression(expression: string): Read {
  const errors: string[] = [];
  const found: Record<string, string[]> = { Identifier: [], LabelName: [] };
  parser.parse(expression).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) errors.push(`at ${from} of ${expression}`);
      found[type.name]?.push(expression.slice(from, to));
    },
  });
  return { errors, metrics: found['Identifier'] ?? [], labels: found['LabelName'] ?? [] };
}

describe('the alerts', () => {
  it('are told apart from nonsense by the grammar', () => {
    expect(readExpression('absent(rowcall_ready').errors).not.toEqual([]);
    expect(readExpression('rowcall_ready => 0').errors).not.toEqual([]);
    expect(readExpression('rowcall_log_bytes{callback="a"} > 1')).toEqual({
      ...{ errors: [], metrics: ['rowcall_log_bytes'], labels: ['callback'] },
    });
  });

  it('have names of their own', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  it.each(rules)('$alert is an expression over metrics and labels that there are', (rule) => {
    const { errors, metrics, labels } = readExpression(rule.expr);
    expect(errors).toEqual([]);
    expect(metrics.length).toBeGreaterThan(0);
    for (const metric of metrics) {
      expect(Object.keys(METRICS)).toContain(metric);
      const has = documented.get(metric)?.[2] ?? '';
      for (const label of labels) expect(has, `${metric} has no label ${label}`).toContain(label);
      // A counter says something by how it grows, a gauge by what it is.
      const grows = new RegExp(`(?:increase|rate)\\(${metric}\\[`).test(rule.expr);
      expect(grows).toBe(METRICS[metric as keyof typeof METRICS].type === 'counter');
    }
  });

  it('tell when there is no data at all', () => {
    expect(rules.map(({ expr }) => expr)).toContain('absent(rowcall_ready)');
  });

  it('have a runbook each, and no runbook is of none', () => {
    const page = read('docs/ALERTS.md');
    const sections = Array.from(page.matchAll(/^## (.+)$/gm), ([, name = '']) => name);
    expect(sections).toEqual(rules.map(({ alert }) => alert));
    for (const { alert, annotations, labels } of rules) {
      expect(annotations.runbook).toBe(`docs/ALERTS.md#${alert.toLowerCase()}`);
      const [, section = ''] = page.split(`## ${alert}\n`);
      const [own = ''] = section.split('\n## ');
      expect(own).toContain(`(\`${labels.severity}\`)`);
      expect(own, `${alert} says what to do`).toMatch(/^- /m);
    }
  });
});
