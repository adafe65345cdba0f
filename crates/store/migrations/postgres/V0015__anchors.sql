-- What others say about the log: witnesses' cosignatures, and time stamps of an authority (RFC 3161). Nothing
-- personal, hence no owner.

-- evidence: a cosigned note, or a time stamp token in DER; over this checkpoint.
CREATE TABLE audit_evidence (
  source TEXT NOT NULL,
  size BIGINT NOT NULL,
  checkpoint TEXT NOT NULL,
  evidence BYTEA NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (source, size)
);

-- When each source is asked next: whichever node moves next_at asks.
CREATE TABLE audit_evidence_source (
  source TEXT NOT NULL PRIMARY KEY,
  next_at BIGINT NOT NULL,
  failure TEXT
);
