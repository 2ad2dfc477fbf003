/** The `typ` of access tokens: RFC 9068, section 2.1. */
export const ACCESS_TOKEN_TYPE = 'at+jwt';
/** The one client of a first-party service: RFC 9068 asks for a `client_id`. */
export const CLIENT_ID = 'countersign';
/** The longest access token that is issued or verified (S03). */
export const MAX_TOKEN_BYTES = 4096;
