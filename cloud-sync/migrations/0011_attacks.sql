-- Attacks that gates have refused lately, by gate, for the rules about risk: one row a gate, as long as what is kept.
CREATE TABLE core.gate_attacks (
    station text COLLATE "C" NOT NULL,
    gate text COLLATE "C" NOT NULL,
    body text NOT NULL, -- GateAttacks
    PRIMARY KEY (station, gate)
);
