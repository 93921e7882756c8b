/** Arms a failpoint from the environment: `ROWCALL_FAILPOINT=name` or `name:n`. For tests of crashes. */

import { RowcallError } from '../errors.ts';
import { armFailpoint, FAILPOINTS, MIRROR_FAILPOINTS, XA_FAILPOINTS } from '../shared/failpoint.ts';

const ALL = [...FAILPOINTS, ...XA_FAILPOINTS, ...MIRROR_FAILPOINTS];

export function armFromEnvironment(env: Readonly<Record<string, string | undefined>>): void {
  const text = env['ROWCALL_FAILPOINT'];
  if (text === undefined || text === '') return;
  const [name, pass = '1'] = text.split(':');
  const failpoint = ALL.find((known) => known === name);
  if (failpoint === undefined || !/^[1-9][0-9]{0,8}$/.test(pass)) {
    throw new RowcallError('USAGE', `ROWCALL_FAILPOINT=${text} names no failpoint`, {
      cure: `Use one of ${ALL.join(', ')}, with :n for the n-th pass.`,
    });
  }
  armFailpoint(failpoint, Number(pass));
}
