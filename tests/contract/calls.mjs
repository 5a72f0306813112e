// The official SDK of Payload CMS, unmodified, at somebody else's command: one call a line in, one outcome a line out.
//
//   in    {"method": "find", "options": {…}, "customer"?: token, "posted"?: true}
//   out   {"value": …}, or {"error": {"thrown", "message", "status", "errors"}} of what the call threw
//
// In `options` {"$date": "…"} stands for a Date and {"$file": "…"} for a File of that text. `posted` sends queries as
// Payload's own admin panel sends long ones: by POST, with X-Payload-HTTP-Method-Override: GET and the query as the body.
// ORDERS_URL is the API's base URL, ORDERS_SECRET_KEY its key: a publishable one does, too.

import { createInterface } from 'node:readline'
import { PayloadSDK, PayloadSDKError } from '@payloadcms/sdk'

const baseURL = process.env.ORDERS_URL
const headers = { Authorization: `Bearer ${process.env.ORDERS_SECRET_KEY}` }

const sdk = new PayloadSDK({ baseURL, baseInit: { headers } })
const posting = new PayloadSDK({ baseURL, baseInit: { headers }, fetch: post })

function post(address, init) {
  const [url, query] = address.split('?')
  const sent = new Headers(init.headers)
  sent.set('X-Payload-HTTP-Method-Override', init.method)
  sent.set('Content-Type', 'application/x-www-form-urlencoded')
  return fetch(url, { ...init, method: 'POST', headers: sent, body: query })
}

function revived(_, value) {
  if (value?.$date) return new Date(value.$date)
  if (value?.$file) return new File([value.$file], 'a.txt', { type: 'text/plain' })
  return value
}

async function outcome({ method, options, customer, posted }) {
  const init = customer && { headers: { 'X-Customer-Token': customer } }
  try {
    return { value: await (posted ? posting : sdk)[method](options, init) }
  } catch (error) {
    const thrown = error instanceof PayloadSDKError ? 'PayloadSDKError' : error.name
    return { error: { thrown, message: error.message, status: error.status, errors: error.errors } }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await outcome(JSON.parse(line, revived))))
}
