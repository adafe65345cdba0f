-- Offers: access that begins when its receiver accepts it. A row is made whether or not there is an account of the name
-- that was written, so that nobody learns which accounts exist.

CREATE TABLE access_offer (
  offer_id BLOB NOT NULL PRIMARY KEY CHECK (length(offer_id) = 16),
  object_id BLOB NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- Who offers.
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- Who may accept; nobody, if there is no such account or it declined.
  receiver_id BLOB REFERENCES account (account_id) ON DELETE CASCADE,
  -- The name or address as it was written, sealed for who offers.
  sealed_name BLOB NOT NULL,
  relation TEXT NOT NULL CHECK (relation IN ('collaborator', 'shared')),
  -- When the access ends by itself.
  until_at INTEGER,
  created_at INTEGER NOT NULL,
  -- When the offer itself ends.
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX access_offer_object ON access_offer (object_id, offer_id);
CREATE INDEX access_offer_account ON access_offer (account_id);
CREATE INDEX access_offer_receiver ON access_offer (receiver_id, offer_id) WHERE receiver_id IS NOT NULL;
CREATE INDEX access_offer_age ON access_offer (expires_at);
