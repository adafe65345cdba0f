-- Offers: access that begins when its receiver accepts it. A row is made whether or not there is an account of the name
-- that was written, so that nobody learns which accounts exist.

CREATE TABLE access_offer (
  offer_id UUID NOT NULL PRIMARY KEY,
  object_id UUID NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- Who offers.
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- Who may accept; nobody, if there is no such account or it declined.
  receiver_id UUID REFERENCES account (account_id) ON DELETE CASCADE,
  -- The name or address as it was written, sealed for who offers.
  sealed_name BYTEA NOT NULL,
  relation TEXT NOT NULL CHECK (relation IN ('collaborator', 'shared')),
  -- When the access ends by itself.
  until_at BIGINT,
  created_at BIGINT NOT NULL,
  -- When the offer itself ends.
  expires_at BIGINT NOT NULL
);
CREATE INDEX access_offer_object ON access_offer (object_id, offer_id);
CREATE INDEX access_offer_account ON access_offer (account_id);
CREATE INDEX access_offer_receiver ON access_offer (receiver_id, offer_id) WHERE receiver_id IS NOT NULL;
CREATE INDEX access_offer_age ON access_offer (expires_at);
ALTER TABLE access_offer ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_offer FORCE ROW LEVEL SECURITY;
CREATE POLICY access_offer_owner ON access_offer USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
