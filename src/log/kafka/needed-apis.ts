/** Every version of Kafka's API that we speak: one each, all of them in Kafka 3.1 and since. */
import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  createTopicsV7,
  describeConfigsV4,
  describeProducersV0,
  describeTransactionsV0,
  endTxnV3,
  findCoordinatorV4,
  initProducerIdV4,
  listGroupsV4,
  listOffsetsV7,
  metadataV12,
  offsetCommitV8,
  offsetFetchV8,
} from '@platformatic/kafka';

import { fetchApi } from './fetch.ts';
import { produceApi } from './produce.ts';

export const NEEDED_APIS: readonly { readonly key: number; readonly version: number }[] = [
  produceApi,
  fetchApi,
  listOffsetsV7.api,
  metadataV12.api,
  offsetCommitV8.api,
  offsetFetchV8.api,
  findCoordinatorV4.api,
  listGroupsV4.api,
  createTopicsV7.api,
  initProducerIdV4.api,
  addPartitionsToTxnV3.api,
  addOffsetsToTxnV3.api,
  endTxnV3.api,
  describeConfigsV4.api,
  describeTransactionsV0.api,
  describeProducersV0.api,
];
