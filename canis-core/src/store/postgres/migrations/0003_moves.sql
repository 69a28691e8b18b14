-- The mark of a store that is being moved to another place, or was: one row, or none.
CREATE TABLE moves (
    id UUID PRIMARY KEY,
    store UUID NOT NULL,
    state TEXT NOT NULL,
    other TEXT NOT NULL,
    arrived BIGINT NOT NULL
);
