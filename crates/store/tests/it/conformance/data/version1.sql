-- What a demo of schema version 1 held after five purchases, without its logins.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE accounts (
    id               INTEGER PRIMARY KEY,
    role             TEXT   NOT NULL CHECK (role IN ('house', 'merchant', 'customer')),
    name             TEXT   NOT NULL CHECK (name <> ''),
    is_active        INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    plan             TEXT   CHECK (plan IN ('starter', 'business', 'enterprise')),
    per_minute       INTEGER NOT NULL CHECK (per_minute >= 0),
    subscribed_until INTEGER,
    opened_at        INTEGER NOT NULL,
    CHECK ((plan IS NULL) = (subscribed_until IS NULL))
) STRICT;
INSERT INTO "accounts" VALUES(1,'house','House',1,NULL,0,NULL,1795333535625768);
INSERT INTO "accounts" VALUES(115130104352780,'merchant','Demo Telecom',1,'business',120,2110693535633332,1795333535633335);
INSERT INTO "accounts" VALUES(115130104647688,'customer','Demo Customer',1,NULL,0,NULL,1795333535705300);
CREATE TABLE attempts (
    purchase_id        INTEGER NOT NULL,
    account_id         INTEGER NOT NULL,
    environment        TEXT   NOT NULL,
    number             INTEGER NOT NULL CHECK (number >= 1),
    upstream           TEXT   NOT NULL,
    started_at         INTEGER NOT NULL,
    outcome            TEXT,
    upstream_reference TEXT,
    text               TEXT,
    heard_at           INTEGER,
    PRIMARY KEY (purchase_id, account_id, environment, number),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO "attempts" VALUES(115130116636679,115130104352780,'sandbox',1,'simulator-a',1795333538632435,'delivered','R261122.0745.4d9e455e4586','Recharge of 10 Tk to 1712345101 was successful. Transaction number is R261122.0745.4d9e455e4586.',1795333538634516);
INSERT INTO "attempts" VALUES(115130116685827,115130104352780,'sandbox',1,'simulator-a',1795333538644508,'refused',NULL,'This number is not valid at the operator.',1795333538646089);
INSERT INTO "attempts" VALUES(115130116759563,115130104352780,'sandbox',1,'simulator-a',1795333538662187,'unknown',NULL,'The connection ended without a reply.',1795333538662877);
INSERT INTO "attempts" VALUES(115130116788238,115130104352780,'sandbox',1,'simulator-a',1795333538669510,'unknown',NULL,'The connection ended without a reply.',1795333538670129);
CREATE TABLE cases (
    purchase_id INTEGER NOT NULL,
    account_id  INTEGER NOT NULL,
    environment TEXT   NOT NULL,
    why         TEXT   NOT NULL CHECK (why IN ('clash', 'doubt')),
    opened_at   INTEGER NOT NULL,
    text        TEXT   NOT NULL,
    closed_at   INTEGER,
    PRIMARY KEY (purchase_id, account_id, environment, why),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) STRICT, WITHOUT ROWID;
CREATE TABLE claims (
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    space       TEXT   NOT NULL,
    reference   TEXT   NOT NULL CHECK (length(reference) BETWEEN 1 AND 128),
    purchase_id INTEGER,
    digest      BLOB,
    at          INTEGER NOT NULL,
    CONSTRAINT claims_once PRIMARY KEY (account_id, environment, space, reference)
) STRICT, WITHOUT ROWID;
INSERT INTO "claims" VALUES(115130104352780,'live','desk','DEMO-START-BDT',NULL,NULL,1795333535775223);
INSERT INTO "claims" VALUES(115130104352780,'sandbox','desk','DEMO-START-BDT',NULL,NULL,1795333535774806);
INSERT INTO "claims" VALUES(115130104352780,'sandbox','irecharge','FIRST-101',115130116636679,NULL,1795333538632435);
INSERT INTO "claims" VALUES(115130104352780,'sandbox','irecharge','FIRST-102',115130116685827,NULL,1795333538644508);
INSERT INTO "claims" VALUES(115130104352780,'sandbox','irecharge','FIRST-105',115130116726797,NULL,1795333538654977);
INSERT INTO "claims" VALUES(115130104352780,'sandbox','irecharge','FIRST-106',115130116759563,NULL,1795333538662187);
INSERT INTO "claims" VALUES(115130104352780,'sandbox','irecharge','FIRST-111',115130116788238,NULL,1795333538669510);
INSERT INTO "claims" VALUES(115130104647688,'live','desk','DEMO-START-USD',NULL,NULL,1795333535775514);
INSERT INTO "claims" VALUES(115130104647688,'live','desk','DEMO-START-ZWG',NULL,NULL,1795333535775769);
CREATE TABLE countries (
    code         TEXT PRIMARY KEY,
    name         TEXT   NOT NULL,
    currency     TEXT   NOT NULL CHECK (length(currency) = 3),
    calling_code TEXT   NOT NULL,
    trunk        TEXT   NOT NULL,
    length       INTEGER NOT NULL CHECK (length > 0),
    begins       TEXT   NOT NULL
) STRICT;
INSERT INTO "countries" VALUES('BD','Bangladesh','BDT','880','0',10,'1');
CREATE TABLE entries (
    journal_seq INTEGER NOT NULL REFERENCES journals (seq),
    line        INTEGER NOT NULL CHECK (line >= 1),
    debit_id    INTEGER NOT NULL REFERENCES ledger_accounts (id),
    credit_id   INTEGER NOT NULL REFERENCES ledger_accounts (id),
    amount      INTEGER NOT NULL CHECK (amount > 0),
    CHECK (debit_id <> credit_id),
    PRIMARY KEY (journal_seq, line)
) STRICT, WITHOUT ROWID;
INSERT INTO "entries" VALUES(1,1,19,1,700000);
INSERT INTO "entries" VALUES(2,1,20,4,700000);
INSERT INTO "entries" VALUES(3,1,21,13,50000);
INSERT INTO "entries" VALUES(4,1,22,16,50000);
INSERT INTO "entries" VALUES(5,1,1,2,1050);
INSERT INTO "entries" VALUES(6,1,2,23,1000);
INSERT INTO "entries" VALUES(6,2,2,24,50);
INSERT INTO "entries" VALUES(6,3,25,3,150);
INSERT INTO "entries" VALUES(7,1,1,2,1050);
INSERT INTO "entries" VALUES(8,1,2,1,1050);
INSERT INTO "entries" VALUES(9,1,1,2,1050);
INSERT INTO "entries" VALUES(10,1,1,2,1050);
INSERT INTO "entries" VALUES(11,1,1,2,1050);
CREATE TABLE events (
    purchase_id INTEGER NOT NULL,
    account_id  INTEGER NOT NULL,
    environment TEXT   NOT NULL,
    sequence    INTEGER NOT NULL,
    state       TEXT   NOT NULL CHECK (state = 'delivered' OR state = 'failed' OR state = 'rejected'
                           OR state = 'refunded'),
    at          INTEGER NOT NULL,
    told_at     INTEGER,
    PRIMARY KEY (purchase_id, account_id, environment, sequence),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO "events" VALUES(115130116636679,115130104352780,'sandbox',2,'delivered',1795333538634516,NULL);
INSERT INTO "events" VALUES(115130116685827,115130104352780,'sandbox',2,'failed',1795333538646089,NULL);
CREATE TABLE evidence (
    purchase_id        INTEGER NOT NULL,
    account_id         INTEGER NOT NULL,
    environment        TEXT   NOT NULL,
    line               INTEGER NOT NULL,
    at                 INTEGER NOT NULL,
    source             TEXT   NOT NULL,
    attempt            INTEGER,
    word               TEXT   NOT NULL,
    text               TEXT,
    upstream_reference TEXT,
    PRIMARY KEY (purchase_id, account_id, environment, line),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) STRICT, WITHOUT ROWID;
CREATE TABLE jobs (
    purchase_id INTEGER NOT NULL,
    account_id  INTEGER NOT NULL,
    environment TEXT   NOT NULL,
    job         TEXT   NOT NULL CHECK (job = 'expire' OR job = 'submit' OR job = 'query'),
    due_at      INTEGER NOT NULL,
    tries       INTEGER NOT NULL CHECK (tries >= 0),
    epoch       INTEGER NOT NULL CHECK (epoch >= 0),
    PRIMARY KEY (purchase_id, account_id, environment),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO "jobs" VALUES(115130116726797,115130104352780,'sandbox','expire',1795419938654977,0,0);
INSERT INTO "jobs" VALUES(115130116759563,115130104352780,'sandbox','query',1795333543662877,0,1);
INSERT INTO "jobs" VALUES(115130116788238,115130104352780,'sandbox','query',1795333543670129,0,1);
CREATE TABLE journals (
    seq         INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    purchase_id INTEGER,
    reason      TEXT   NOT NULL CHECK (reason = 'hold' OR reason = 'settle' OR reason = 'release'
                           OR reason = 'refund' OR reason = 'deposit' OR reason = 'withdraw'),
    note        TEXT,
    at          INTEGER NOT NULL,
    hash        BLOB  NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO "journals" VALUES(1,115130104352780,'sandbox',NULL,'deposit','demo: play money to start with',1795333535774806,X'2D43BEEA567CB1848F6B89DCD45BAAEDC1D0536C1E1081ED45F7E294F096F449');
INSERT INTO "journals" VALUES(2,115130104352780,'live',NULL,'deposit','demo: play money to start with',1795333535775223,X'98EC78C6B63B0BA356BAB665753D1F856161F7A8762BFC12E593E516DE0D8C99');
INSERT INTO "journals" VALUES(3,115130104647688,'live',NULL,'deposit','demo: play money to start with',1795333535775514,X'A137C85284871394FAEA36E1D0667E02229FCDAACE63A9D0141B64A67F35A539');
INSERT INTO "journals" VALUES(4,115130104647688,'live',NULL,'deposit','demo: play money to start with',1795333535775769,X'54BC6432CF3EDAEF39E8B58D84A6A4E35E834A0D86945DD09EBA6C49C241CC06');
INSERT INTO "journals" VALUES(5,115130104352780,'sandbox',115130116636679,'hold',NULL,1795333538632435,X'E43319BE914B77B64B41C9F47D69AB992A75A1B24607975FBEE4139D7AEAE6D9');
INSERT INTO "journals" VALUES(6,115130104352780,'sandbox',115130116636679,'settle',NULL,1795333538634516,X'66C287816127F21DBC6FA2F907D1C8B65B041C506F603F23A851D66B78C0D617');
INSERT INTO "journals" VALUES(7,115130104352780,'sandbox',115130116685827,'hold',NULL,1795333538644508,X'5AC28D91DC5F2CEBC94AB44A0342F86D6DA40023BC509CE7D09B137EE025C12B');
INSERT INTO "journals" VALUES(8,115130104352780,'sandbox',115130116685827,'release',NULL,1795333538646089,X'CD6D19A8ADEE171051A96F8E260EC13BF62DF4E49170B59D79CEAA364D6D2CA1');
INSERT INTO "journals" VALUES(9,115130104352780,'sandbox',115130116726797,'hold',NULL,1795333538654977,X'DC528879776BB49C29A9549964A9243516F3FE0465A0699CF03CC2425CB39D01');
INSERT INTO "journals" VALUES(10,115130104352780,'sandbox',115130116759563,'hold',NULL,1795333538662187,X'C149ACC40EFA313F53BA74E36034DE8740769125374C67B0C291110855BC5F2A');
INSERT INTO "journals" VALUES(11,115130104352780,'sandbox',115130116788238,'hold',NULL,1795333538669510,X'ED5DA88DA9A984A750A30ACDCDC4E540558FA8F3E971EA3793A0DAED17BE9C72');
CREATE TABLE keys (
    id            INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    environment   TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    open_key      TEXT   NOT NULL UNIQUE,
    secret_digest BLOB  NOT NULL CHECK (length(secret_digest) = 32),
    secret_tail   TEXT   NOT NULL,
    allow_list    TEXT   NOT NULL,
    webhook_url   TEXT,
    revoked_at    INTEGER,
    created_at    INTEGER NOT NULL
) STRICT;
INSERT INTO "keys" VALUES(115130104352783,115130104352780,'sandbox','ok_test_SaldoDemoSaldoDemoSaldoD',X'876D7F44412B8F1B2DA241E3872B5AAFF9C57B9DDD33E492BCFBC84F18C73391','wVsO','[]',NULL,NULL,1795333535633375);
INSERT INTO "keys" VALUES(115130104352786,115130104352780,'live','ok_live_aABNVtEyr10IG4fA7Y8GPO76',X'6F30411AB5A747BFB94D27791FC73796C5F8AEBCBD638764C8D46F05D1E7710B','KAhm','[]',NULL,NULL,1795333535633377);
CREATE TABLE ledger_accounts (
    id            INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    environment   TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    currency      TEXT   NOT NULL CHECK (length(currency) = 3),
    purpose       TEXT   NOT NULL CHECK (purpose IN ('available', 'held', 'commission', 'float', 'fees',
                                                     'commission_expense', 'funding', 'discrepancy')),
    upstream      TEXT   NOT NULL,
    balance       INTEGER NOT NULL,
    floor         INTEGER,
    CONSTRAINT ledger_accounts_floor CHECK (floor IS NULL OR balance >= floor),
    CONSTRAINT ledger_accounts_wallets_have_a_floor CHECK (purpose NOT IN ('available', 'held') OR floor IS NOT NULL),
    CHECK ((purpose = 'float') = (upstream <> '')),
    UNIQUE (account_id, environment, currency, purpose, upstream)
) STRICT;
INSERT INTO "ledger_accounts" VALUES(1,115130104352780,'sandbox','BDT','available','',695800,0);
INSERT INTO "ledger_accounts" VALUES(2,115130104352780,'sandbox','BDT','held','',3150,0);
INSERT INTO "ledger_accounts" VALUES(3,115130104352780,'sandbox','BDT','commission','',150,NULL);
INSERT INTO "ledger_accounts" VALUES(4,115130104352780,'live','BDT','available','',700000,0);
INSERT INTO "ledger_accounts" VALUES(5,115130104352780,'live','BDT','held','',0,0);
INSERT INTO "ledger_accounts" VALUES(6,115130104352780,'live','BDT','commission','',0,NULL);
INSERT INTO "ledger_accounts" VALUES(7,115130104647688,'sandbox','USD','available','',0,0);
INSERT INTO "ledger_accounts" VALUES(8,115130104647688,'sandbox','USD','held','',0,0);
INSERT INTO "ledger_accounts" VALUES(9,115130104647688,'sandbox','USD','commission','',0,NULL);
INSERT INTO "ledger_accounts" VALUES(10,115130104647688,'sandbox','ZWG','available','',0,0);
INSERT INTO "ledger_accounts" VALUES(11,115130104647688,'sandbox','ZWG','held','',0,0);
INSERT INTO "ledger_accounts" VALUES(12,115130104647688,'sandbox','ZWG','commission','',0,NULL);
INSERT INTO "ledger_accounts" VALUES(13,115130104647688,'live','USD','available','',50000,0);
INSERT INTO "ledger_accounts" VALUES(14,115130104647688,'live','USD','held','',0,0);
INSERT INTO "ledger_accounts" VALUES(15,115130104647688,'live','USD','commission','',0,NULL);
INSERT INTO "ledger_accounts" VALUES(16,115130104647688,'live','ZWG','available','',50000,0);
INSERT INTO "ledger_accounts" VALUES(17,115130104647688,'live','ZWG','held','',0,0);
INSERT INTO "ledger_accounts" VALUES(18,115130104647688,'live','ZWG','commission','',0,NULL);
INSERT INTO "ledger_accounts" VALUES(19,1,'sandbox','BDT','funding','',-700000,NULL);
INSERT INTO "ledger_accounts" VALUES(20,1,'live','BDT','funding','',-700000,NULL);
INSERT INTO "ledger_accounts" VALUES(21,1,'live','USD','funding','',-50000,NULL);
INSERT INTO "ledger_accounts" VALUES(22,1,'live','ZWG','funding','',-50000,NULL);
INSERT INTO "ledger_accounts" VALUES(23,1,'sandbox','BDT','float','simulator-a',1000,NULL);
INSERT INTO "ledger_accounts" VALUES(24,1,'sandbox','BDT','fees','',50,NULL);
INSERT INTO "ledger_accounts" VALUES(25,1,'sandbox','BDT','commission_expense','',-150,NULL);
CREATE TABLE operators (
    id             INTEGER PRIMARY KEY,
    code           TEXT   NOT NULL UNIQUE CHECK (code = upper(code)),
    aliases        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    country        TEXT   NOT NULL REFERENCES countries (code),
    service        TEXT   NOT NULL CHECK (service IN ('mobile-recharge', 'mobile-banking')),
    logo           TEXT   NOT NULL,
    prefixes       TEXT   NOT NULL,
    prepaid_least  INTEGER CHECK (prepaid_least > 0),
    prepaid_most   INTEGER CHECK (prepaid_most >= prepaid_least),
    postpaid_least INTEGER CHECK (postpaid_least > 0),
    postpaid_most  INTEGER CHECK (postpaid_most >= postpaid_least),
    offers         TEXT   CHECK (offers IN ('ticket', 'offer-and-tran', 'campaign')),
    is_active      INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    CHECK ((prepaid_least IS NULL) = (prepaid_most IS NULL)),
    CHECK ((postpaid_least IS NULL) = (postpaid_most IS NULL))
) STRICT;
INSERT INTO "operators" VALUES(1,'GP','["grameenphone"]','Grameenphone','BD','mobile-recharge','grameenphone.png','["013","017"]',1000,100000,1000,500000,'campaign',1);
INSERT INTO "operators" VALUES(2,'BL','["banglalink"]','Banglalink','BD','mobile-recharge','banglalink.png','["014","019"]',1000,100000,1000,500000,'offer-and-tran',1);
INSERT INTO "operators" VALUES(3,'RB','["robi"]','Robi','BD','mobile-recharge','robi.png','["018"]',1000,100000,1000,500000,'ticket',1);
INSERT INTO "operators" VALUES(4,'AT','["airtel"]','Airtel','BD','mobile-recharge','airtel.png','["016"]',1000,100000,1000,500000,'ticket',1);
INSERT INTO "operators" VALUES(5,'TT','["teletalk"]','Teletalk','BD','mobile-recharge','teletalk.png','["015"]',1000,100000,1000,500000,NULL,1);
INSERT INTO "operators" VALUES(6,'SK','["skitto"]','Skitto','BD','mobile-recharge','skitto.png','["013","017"]',1000,100000,NULL,NULL,NULL,1);
INSERT INTO "operators" VALUES(11,'BK','["bkash"]','bKash','BD','mobile-banking','bkash.png','[]',5000,5000000,NULL,NULL,NULL,1);
INSERT INTO "operators" VALUES(12,'NG','["nagad"]','Nagad','BD','mobile-banking','nagad.png','[]',5000,5000000,NULL,NULL,NULL,1);
INSERT INTO "operators" VALUES(13,'RK','["rocket"]','Rocket','BD','mobile-banking','rocket.png','[]',5000,5000000,NULL,NULL,NULL,1);
INSERT INTO "operators" VALUES(14,'UP','["upay"]','Upay','BD','mobile-banking','upay.png','[]',5000,5000000,NULL,NULL,NULL,1);
CREATE TABLE prices (
    id         INTEGER PRIMARY KEY,
    charge     TEXT   NOT NULL CHECK (charge IN ('fee', 'commission')),
    account_id INTEGER REFERENCES accounts (id),
    plan       TEXT   CHECK (plan IN ('starter', 'business', 'enterprise')),
    operator   TEXT,
    kind       TEXT   CHECK (kind IN ('recharge', 'offer', 'banking')),
    from_at    INTEGER,
    until_at   INTEGER CHECK (until_at > from_at),
    currency   TEXT   NOT NULL,
    flat       INTEGER NOT NULL CHECK (flat >= 0),
    share_ppm  INTEGER NOT NULL CHECK (share_ppm BETWEEN 0 AND 1000000),
    least      INTEGER CHECK (least >= 0),
    most       INTEGER CHECK (most >= 0)
) STRICT;
INSERT INTO "prices" VALUES(1,'fee',NULL,NULL,NULL,'recharge',NULL,NULL,'BDT',50,0,NULL,NULL);
INSERT INTO "prices" VALUES(2,'commission',NULL,NULL,NULL,'recharge',NULL,NULL,'BDT',150,0,NULL,NULL);
INSERT INTO "prices" VALUES(3,'fee',NULL,NULL,NULL,'offer',NULL,NULL,'BDT',0,5000,NULL,NULL);
INSERT INTO "prices" VALUES(4,'commission',NULL,NULL,NULL,'offer',NULL,NULL,'BDT',0,15000,NULL,NULL);
INSERT INTO "prices" VALUES(5,'commission',NULL,NULL,NULL,'banking',NULL,NULL,'BDT',0,4000,NULL,NULL);
CREATE TABLE purchases (
    id              INTEGER NOT NULL CHECK (id > 0 AND id < 9007199254740992),
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    environment     TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    space           TEXT   NOT NULL,
    reference       TEXT   NOT NULL,
    key_id          INTEGER,
    kind            TEXT   NOT NULL CHECK (kind = 'recharge' OR kind = 'offer' OR kind = 'banking'),
    operator        TEXT   NOT NULL,
    recipient       TEXT   NOT NULL,
    service_type    TEXT   NOT NULL CHECK (service_type IN ('prepaid', 'postpaid')),
    currency        TEXT   NOT NULL CHECK (length(currency) = 3),
    amount          INTEGER NOT NULL CHECK (amount > 0),
    fee             INTEGER NOT NULL CHECK (fee >= 0),
    commission      INTEGER NOT NULL CHECK (commission >= 0),
    available_after INTEGER NOT NULL CHECK (available_after >= 0),
    details         TEXT   NOT NULL,
    webhook_url     TEXT,
    state           TEXT   NOT NULL CHECK (state = 'quoted' OR state = 'awaiting' OR state = 'held' OR state = 'sent'
                           OR state = 'in_doubt' OR state = 'with_staff' OR state = 'delivered'
                           OR state = 'failed' OR state = 'rejected' OR state = 'refunded'),
    version         INTEGER NOT NULL CHECK (version >= 1),
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    upstream        TEXT,
    text            TEXT,
    decider         TEXT   CHECK (decider IN ('auto', 'staff')),
    opened_at       INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    delivered_at    INTEGER,
    PRIMARY KEY (id, account_id, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO "purchases" VALUES(115130116636679,115130104352780,'sandbox','irecharge','FIRST-101',115130104352783,'recharge','GP','01712345101','prepaid','BDT',1000,50,150,698950,'{}',NULL,'delivered',2,1,'simulator-a','Recharge of 10 Tk to 1712345101 was successful. Transaction number is R261122.0745.4d9e455e4586.','auto',1795333538632435,1795333538634516,1795333538634516);
INSERT INTO "purchases" VALUES(115130116685827,115130104352780,'sandbox','irecharge','FIRST-102',115130104352783,'recharge','GP','01712345102','prepaid','BDT',1000,50,150,697900,'{}',NULL,'failed',2,1,'simulator-a',NULL,'auto',1795333538644508,1795333538646089,NULL);
INSERT INTO "purchases" VALUES(115130116726797,115130104352780,'sandbox','irecharge','FIRST-105',115130104352783,'recharge','GP','01712345105','prepaid','BDT',1000,50,150,697900,'{}',NULL,'awaiting',1,0,NULL,NULL,NULL,1795333538654977,1795333538654977,NULL);
INSERT INTO "purchases" VALUES(115130116759563,115130104352780,'sandbox','irecharge','FIRST-106',115130104352783,'recharge','GP','01712345106','prepaid','BDT',1000,50,150,696850,'{}',NULL,'in_doubt',2,1,'simulator-a',NULL,NULL,1795333538662187,1795333538662877,NULL);
INSERT INTO "purchases" VALUES(115130116788238,115130104352780,'sandbox','irecharge','FIRST-111',115130104352783,'recharge','GP','01712345111','prepaid','BDT',1000,50,150,695800,'{}',NULL,'in_doubt',2,1,'simulator-a',NULL,NULL,1795333538669510,1795333538670129,NULL);
CREATE TABLE replays (
    account_id  INTEGER NOT NULL,
    environment TEXT   NOT NULL,
    space       TEXT   NOT NULL,
    reference   TEXT   NOT NULL,
    status      INTEGER NOT NULL,
    body        TEXT   NOT NULL,
    PRIMARY KEY (account_id, environment, space, reference),
    FOREIGN KEY (account_id, environment, space, reference) REFERENCES claims (account_id, environment, space, reference)
) STRICT, WITHOUT ROWID;
CREATE TABLE routes (
    id             INTEGER PRIMARY KEY,
    environment    TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    operator       TEXT,
    kind           TEXT   CHECK (kind IN ('recharge', 'offer', 'banking')),
    recipient_ends TEXT,
    upstreams      TEXT   NOT NULL,
    needs_approval INTEGER NOT NULL CHECK (needs_approval IN (0, 1))
) STRICT;
INSERT INTO "routes" VALUES(1,'sandbox',NULL,'recharge',NULL,'["simulator-a","simulator-b"]',0);
INSERT INTO "routes" VALUES(2,'sandbox',NULL,'offer',NULL,'["simulator-a","simulator-b"]',0);
INSERT INTO "routes" VALUES(3,'sandbox',NULL,NULL,'105','["simulator-a","simulator-b"]',1);
INSERT INTO "routes" VALUES(101,'live',NULL,'recharge',NULL,'["simulator-a","simulator-b"]',0);
INSERT INTO "routes" VALUES(102,'live',NULL,'offer',NULL,'["simulator-a","simulator-b"]',0);
CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    email         TEXT   NOT NULL UNIQUE CHECK (email <> ''),
    role          TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (due_at);
CREATE TRIGGER journals_are_not_updated BEFORE UPDATE ON journals
BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
CREATE TRIGGER journals_are_not_deleted BEFORE DELETE ON journals
BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
CREATE TRIGGER entries_are_not_updated BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER claims_are_not_deleted BEFORE DELETE ON claims
BEGIN SELECT RAISE(ABORT, 'a used reference stays used'); END;
CREATE TRIGGER claims_are_not_updated BEFORE UPDATE ON claims
BEGIN SELECT RAISE(ABORT, 'a used reference stays used'); END;
COMMIT;
PRAGMA user_version=1;
