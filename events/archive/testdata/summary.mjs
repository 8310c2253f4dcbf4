// Reads a records object with hyparquet and sums it up, as a stranger would.
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

const file = await asyncBufferFromFile(process.argv[2])
const metadata = await parquetMetadataAsync(file)
const rows = await parquetReadObjects({ file, metadata, compressors })

const metrics = {}
for (const row of rows) {
  const m = (metrics[row.metric] ??= { rows: 0, absent: 0, sum: 0, gpus: new Set() })
  m.rows++
  m.gpus.add(row.gpu)
  if (row.value === null || row.value === undefined) m.absent++
  else m.sum += row.value
}
for (const m of Object.values(metrics)) m.gpus = m.gpus.size

const text = row => Object.fromEntries(Object.entries(row).map(([name, v]) =>
  [name, v instanceof Date ? v.toISOString() : typeof v === 'bigint' ? v.toString() : v ?? null]))
console.log(JSON.stringify({ counted: Number(metadata.num_rows), rows: rows.length, metrics, first: text(rows[0]), last: text(rows.at(-1)) }))
