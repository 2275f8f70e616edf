/** Buffer methods that Node has had since its first versions and its type package leaves out: the direct, bounds-checked
 *  forms of toString(encoding, start, end), about 100 ns cheaper each because no encoding name is looked up. */
interface Buffer {
  latin1Slice(start?: number, end?: number): string
  utf8Slice(start?: number, end?: number): string
  latin1Write(text: string, offset?: number, length?: number): number
  utf8Write(text: string, offset?: number, length?: number): number
}
