CREATE TABLE events (
    id INTEGER NOT NULL, 
    slug TEXT NOT NULL, 
    secret TEXT NOT NULL, 
    epoch TEXT NOT NULL, 
    head INTEGER NOT NULL, 
    created_at BIGINT NOT NULL, 
    PRIMARY KEY (id), 
    UNIQUE (slug)
);

CREATE TABLE log (
    event INTEGER NOT NULL, 
    seq INTEGER NOT NULL, 
    at BIGINT NOT NULL, 
    actor TEXT NOT NULL, 
    command TEXT NOT NULL, 
    changes BLOB NOT NULL, 
    result BLOB NOT NULL, 
    PRIMARY KEY (event, seq), 
    UNIQUE (event, actor, command)
)
 WITHOUT ROWID;

CREATE TABLE snapshots (
    event INTEGER NOT NULL, 
    seq INTEGER NOT NULL, 
    shape TEXT NOT NULL, 
    state BLOB NOT NULL, 
    PRIMARY KEY (event)
);

CREATE TABLE people (
    event INTEGER NOT NULL, 
    person TEXT NOT NULL, 
    name TEXT NOT NULL, 
    PRIMARY KEY (event, person)
);

CREATE TABLE keys (
    name TEXT NOT NULL, 
    value TEXT NOT NULL, 
    PRIMARY KEY (name)
);

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO alembic_version VALUES ('0001');

INSERT INTO events VALUES (3, 'abend', 'geheim', 'a1b2c3d4', 2, 1597939200000);

INSERT INTO log VALUES (3, 1, 1597939200001, 'system', 'c-1', X'5b7b2263223a22636f6e66696775726564227d5d', X'7b7d');

INSERT INTO log VALUES (3, 2, 1597939200002, 'anna', 'c-2', X'5b7b2263223a227375626d6974746564222c2274657874223a2242c3a46e6b652026202742c3a4756d6527227d5d', X'7b22636f6e747269627574696f6e223a317d');

INSERT INTO snapshots VALUES (3, 1, 'shape', X'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');

INSERT INTO people VALUES (3, 'anna', 'Anna Şahin');

INSERT INTO keys VALUES ('person', 'schlüssel');

