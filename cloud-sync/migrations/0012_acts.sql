-- What people did at gates, each once by its name; kept for a month, so that a form that is sent again tells nothing again.
CREATE TABLE core.gate_act (
    id text COLLATE "C" PRIMARY KEY,
    gate text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    version bigint NOT NULL, -- of the feed
    body text NOT NULL -- ToldAct
);
CREATE INDEX gate_act_of ON core.gate_act (gate, version);
CREATE INDEX gate_act_at ON core.gate_act (at);
