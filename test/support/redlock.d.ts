/** The package's own types are not reachable through its exports. */
declare module 'redlock' {
  export interface Lock {
    extend(ms: number): Promise<Lock>
    release(): Promise<unknown>
  }
  export default class Redlock {
    constructor(clients: readonly object[], settings?: { readonly retryCount?: number })
    acquire(resources: readonly string[], ms: number): Promise<Lock>
  }
}
