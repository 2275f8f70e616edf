/** What this project uses of WebAssembly: @types/node has no types for it, and the library `dom` would bring a browser's with them. */
declare namespace WebAssembly {
  type ExportValue = (...parameters: number[]) => number
  class Module {
    constructor(bytes: Uint8Array)
    static imports(module: Module): { module: string; name: string; kind: string }[]
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, unknown>>)
    readonly exports: Record<string, ExportValue>
  }
  interface Memory {
    readonly buffer: ArrayBuffer
    grow(pages: number): number
  }
  interface Table {
    get(index: number): ExportValue
    set(index: number, value: ExportValue): void
    grow(count: number): number
  }
}
