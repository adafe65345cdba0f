-- How suspicious the session's sign-in looked, from 0 to 100; 0 again once its person gave the second factor in it.
ALTER TABLE session ADD COLUMN risk BIGINT NOT NULL DEFAULT 0 CHECK (risk BETWEEN 0 AND 100);
-- Since when nothing that the policies decide is allowed to the account: from within one of its sessions too many wrong
-- passwords were tried. A new password by a mailed link or an operator ends it.
ALTER TABLE account ADD COLUMN locked_at BIGINT;
