import { test } from 'vitest';

import { killAroundTruncates } from '../support/truncate-run.ts';
import { runSeed } from '../support/workload-random.ts';

test(
  'rows stay on their side of TRUNCATE and DROP, and none is lost, when connector and dispatcher are killed and receivers fail',
  () => killAroundTruncates({ name: 'truncate', seed: runSeed(), kills: 12 }),
  240_000,
);
