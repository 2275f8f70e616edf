/** Every error a client can be told, each once. They are expected, so they carry no stack: throwing one is cheap. */

/** Thrown by a command before it has changed anything; the dispatcher answers `-<text>`. */
export class ClientError {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const error = (text: string): ClientError => new ClientError(text)

export const WRONG_TYPE = error('WRONGTYPE Operation against a key holding the wrong kind of value')
export const SYNTAX = error('ERR syntax error')
export const NOT_INTEGER = error('ERR value is not an integer or out of range')
export const NOT_FLOAT = error('ERR value is not a valid float')
export const OVERFLOW = error('ERR increment or decrement would overflow')
export const NO_SUCH_KEY = error('ERR no such key')
export const INDEX_RANGE = error('ERR index out of range')
export const NO_AUTH = error('NOAUTH Authentication required.')
export const READ_ONLY = error("READONLY You can't write against a read only replica.")
export const NO_REPLICAS = error('NOREPLICAS Not enough good replicas to write.')
export const OUT_OF_MEMORY = error("OOM command not allowed when used memory > 'maxmemory'.")
export const LOADING = error('LOADING Redis is loading the dataset in memory')
export const MASTER_DOWN = error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
export const EXEC_ABORT = error('EXECABORT Transaction discarded because of previous errors.')
export const CROSS_SLOT = error("CROSSSLOT Keys in request don't hash to the same slot")
export const TRY_AGAIN = error('TRYAGAIN Multiple keys request during rehashing of slot')
export const CLUSTER_DOWN = error('CLUSTERDOWN The cluster is down')
export const CLUSTER_DOWN_READS = error('CLUSTERDOWN The cluster is down and only accepts read commands')
export const SLOT_NOT_SERVED = error('CLUSTERDOWN Hash slot not served')
export const CLUSTER_DISABLED = error('ERR This instance has cluster support disabled')
export const NOT_IN_MULTI = error('ERR Command not allowed inside a transaction')
export const BUSY_KEY = error('BUSYKEY Target key name already exists.')
export const DB_RANGE = error('ERR DB index is out of range')
export const UNBLOCKED = error('UNBLOCKED client unblocked via CLIENT UNBLOCK')

export const FORCED_UNBLOCK = error(
  'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
)

export const wrongArity = (name: string): ClientError => error(`ERR wrong number of arguments for '${name}' command`)
export const invalidExpire = (command: string): ClientError => error(`ERR invalid expire time in '${command}' command`)
/** Any other `ERR`. */
export const fail = (text: string): ClientError => error(`ERR ${text}`)
