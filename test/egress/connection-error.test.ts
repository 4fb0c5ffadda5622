import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressNotAllowedError, describeConnectionError } from '../../src/egress/connection-error.ts';

function coded(code: string, message = 'connect failed at http://ann:pa55word@proxy:3128', cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}

/** The reasons that no receiver of the other tests can bring about. */
describe('the reason of a connection error', () => {
  test.each([
    ['ECONNREFUSED', 'connection refused'],
    ['ECONNRESET', 'connection reset'],
    ['EPIPE', 'connection reset'],
    ['ENOTFOUND', 'host name not found'],
    ['EAI_AGAIN', 'host name lookup failed'],
    ['EHOSTUNREACH', 'host unreachable'],
    ['ENETUNREACH', 'network unreachable'],
    ['ETIMEDOUT', 'connection timed out'],
    ['UND_ERR_CONNECT_TIMEOUT', 'connection timed out'],
    ['CERT_HAS_EXPIRED', 'TLS: certificate expired'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'TLS: certificate of another host'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'TLS: certificate of an unknown authority'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'TLS: certificate of an unknown authority'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'TLS: err ssl tlsv1 alert protocol version'],
    ['ESOMETHING_NEW', 'esomething new'],
  ])('D3, D4: %s is "%s"', (code, reason) => {
    expect(describeConnectionError(coded(code))).toBe(reason);
  });

  test('D11: an address that was refused', () => {
    expect(describeConnectionError(new AddressNotAllowedError())).toBe('address not allowed');
  });

  test('D3: the cause counts where the error itself says nothing, and what happy eyeballs gathered', () => {
    expect(describeConnectionError(new Error('x', { cause: coded('ENOTFOUND') }))).toBe('host name not found');
    expect(describeConnectionError(new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')]))).toBe(
      'connection refused',
    );
    expect(describeConnectionError(coded('UND_ERR_ABORTED', 'x', new AddressNotAllowedError()))).toBe(
      'address not allowed',
    );
  });

  test.each([undefined, null, 'text', 7, {}, new Error('pa55word')])('%j is no more than "request failed"', (error) => {
    expect(describeConnectionError(error)).toBe('request failed');
  });

  test('a circle of causes comes to an end', () => {
    const error = new Error('x');
    error.cause = error;
    expect(describeConnectionError(error)).toBe('request failed');
  });

  test("D9: no message of an error gets into it, for that may hold a proxy's credentials", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.option(fc.constantFrom('ECONNREFUSED', 'EPROTO', 'UND_ERR_SOCKET', 'X')),
        (text, code) => {
          const message = `${text} http://ann:pa55word@proxy`;
          const error = code === null ? new Error(message) : coded(code, message);
          return !/pa55word|ann/.test(describeConnectionError(error));
        },
      ),
    );
  });
});
