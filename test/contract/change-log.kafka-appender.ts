/**
 * A process to be killed, on a Kafka log. Arguments: brokers with commas, name, passes of the failpoint (0: unarmed).
 * Where the log refuses it, the code is the last line that it prints.
 */
import { argv, stdout } from 'node:process';

import { RowcallError } from '../../src/errors.ts';
import { armFailpoint } from '../../src/shared/failpoint.ts';
import { appendWithoutEnd } from './change-log-append-loop.ts';
import { openKafka } from './change-log-kafka-home.ts';

const [, , brokers = '', name = '', pass] = argv;
if (Number(pass) > 0) armFailpoint('after-append-before-ack', Number(pass));
const log = await openKafka(brokers.split(','), name);
try {
  await appendWithoutEnd(log, name);
} catch (error) {
  if (!(error instanceof RowcallError)) throw error;
  stdout.write(`${error.code}\n`);
} finally {
  await log.close();
}
