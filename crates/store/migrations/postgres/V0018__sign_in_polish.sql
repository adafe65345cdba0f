-- What sign-in needs besides: the language of mails, how a session began, passkeys that nobody asks for, codes by mail.

-- The language that somebody is written to in (BCP 47); NULL is the first one.
ALTER TABLE account ADD COLUMN locale TEXT;
-- The network that an attempt to register came from, as a blind index: one network's attempts displace their own first.
ALTER TABLE account ADD COLUMN attempt_network BYTEA CHECK (octet_length(attempt_network) = 32);

-- What the session began with: 'password', 'passkey' or 'provider'.
ALTER TABLE session ADD COLUMN first_factor TEXT NOT NULL DEFAULT '';

-- Whether a sign-in demands a second factor because of this one. A passkey that the browser made by itself after a
-- password does not: it may be used, but nobody chose to depend on it.
ALTER TABLE factor ADD COLUMN demanded BOOLEAN NOT NULL DEFAULT TRUE;

-- Codes that were mailed end; codes on paper (NULL) do not.
ALTER TABLE recovery_code ADD COLUMN expires_at BIGINT;
