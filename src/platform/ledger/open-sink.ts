/** The sink that the configuration names. Nothing is opened before the first use. */
import type { Config } from '../config.ts'
import { directorySink, type Sink } from './sink.ts'
import { s3Sink } from './sink-s3.ts'

export function openSink(config: Pick<Config, 'auditCheckpoints' | 'auditRetentionYears' | 'awsRegion' | 's3Endpoint'>): Sink {
  const place = config.auditCheckpoints
  if (!place.startsWith('s3://')) return directorySink(place)
  const [bucket = '', ...prefix] = place.slice('s3://'.length).split('/')
  return s3Sink({
    bucket,
    prefix: prefix.join('/'),
    region: config.awsRegion,
    endpoint: config.s3Endpoint,
    retentionYears: config.auditRetentionYears,
  })
}
