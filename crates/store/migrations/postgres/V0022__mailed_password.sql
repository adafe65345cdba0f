-- Whether the password was set by a mailed link, and no second factor of its owner's was given beside it since. Then the
-- mailbox may be all that stands behind it, and no code goes there to stand in for a second factor.
ALTER TABLE account ADD COLUMN mailed_password BOOLEAN NOT NULL DEFAULT FALSE;
