/** Text as a configuration line must show it, so that `splitInline` reads the same bytes back. */
import { quoteBytes } from '../resp/quote.ts'

/** The UTF-8 bytes of `text` between double quotes, everything but printable ASCII escaped. */
export const quote = (text: string): string => quoteBytes(Buffer.from(text))
