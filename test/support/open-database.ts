/** A thread that opens the embedded log at the path it is given, makes it where there is none, and ends. */
import { workerData } from 'node:worker_threads';

import { openDatabase } from '../../src/log/embedded/database.ts';

openDatabase(workerData as string, true).close();
