import type { OperationArgs, PutArgs, TxnArgs } from '../backend.ts';
import {
  readDeleteRequest,
  readPutRequest,
  readRangeRequest,
  readTxnRequest,
  writeDeleteResponse,
  writePutResponse,
  writeRangeResponse,
  writeTxnResponse,
} from './codec.ts';
import {
  type DeleteRangeRequest,
  type Number64,
  type PutRequest,
  type RangeRequest,
  type TxnRequest,
  toNumber,
} from './schema.ts';
import { checkSize, type Handlers, type ServiceContext } from './service.ts';

export const kvService = ({ store, header }: ServiceContext): Handlers => ({
  Range: async (request: RangeRequest) => writeRangeResponse(await store.range(readRangeRequest(request)), header),
  Put: async (request: PutRequest) => {
    const args = readPutRequest(request);
    checkSize(putBytes(args));
    return writePutResponse(await store.put(args), header);
  },
  DeleteRange: async (request: DeleteRangeRequest) =>
    writeDeleteResponse(await store.deleteRange(readDeleteRequest(request)), header),
  Txn: async (request: TxnRequest) => {
    const args = readTxnRequest(request);
    checkSize(txnBytes(args));
    return writeTxnResponse(await store.txn(args), header);
  },
  Compact: async ({ revision }: { revision: Number64 }) => ({
    header: header(await store.compact(toNumber(revision))),
  }),
});

const putBytes = ({ key, value }: PutArgs): number => key.length + value.length;

const txnBytes = ({ success, failure }: TxnArgs): number =>
  [...success, ...failure].reduce((sum, operation) => sum + operationBytes(operation), 0);

function operationBytes(operation: OperationArgs): number {
  if (operation.type === 'put') return putBytes(operation);
  return operation.type === 'txn' ? txnBytes(operation) : operation.key.length;
}
