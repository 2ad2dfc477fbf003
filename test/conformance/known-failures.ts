/** What the suite complains about although the service is as it should be. */
export type KnownFailure = {
  /** The cases, by their names. Absent: all. */
  cases?: RegExp;
  complaint: RegExp;
  because: string;
};

export const KNOWN_FAILURES: readonly KnownFailure[] = [
  {
    complaint: /^actual error contain 2 details; expecting 0$/,
    because: 'every refusal says why, in an ErrorInfo, and names its request, in a RequestInfo',
  },
  {
    complaint: /^connect error JSON: details\[1\]: could not check .*"google\.rpc\.RequestInfo"/,
    because: 'the runner does not know google.rpc.RequestInfo',
  },
  {
    cases: /\/(?:no-request|multiple-requests)$/,
    complaint: /\{code: 3 \(invalid_argument\).* does not match expected code 12 /,
    because: 'whatever cannot be read as one request is INVALID_REQUEST, for every protocol',
  },
  {
    cases: /\/unexpected-compressed-message$/,
    complaint: /\{code: 3 \(invalid_argument\).* does not match expected code 13 /,
    because: 'INTERNAL is for bugs of the service, and this is one of its caller',
  },
];
