CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0014');
CREATE TABLE users (
	id CHAR(32) NOT NULL, 
	name VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, changes INTEGER DEFAULT '0' NOT NULL, password_hash VARCHAR, issuer VARCHAR, subject VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO users VALUES ('01a2246aceaf75a5901ceb79098da32a', 'ada', '2026-11-28 23:08:29.231334', 44, '$argon2id$v=19$m=65536,t=3,p=4$pt3SzPIIsHnalEbSNfFoWQ$aXE2UZ2ZsKoJNLg3AIsyMISHNWjC3umqxYZzRjMcy5E', NULL, NULL);
CREATE TABLE conversations (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	title VARCHAR, 
	system_prompt TEXT, 
	model VARCHAR NOT NULL, 
	archived BOOLEAN NOT NULL, 
	pinned BOOLEAN NOT NULL, 
	active_leaf_id CHAR(32), 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, input_tokens BIGINT DEFAULT '0' NOT NULL, output_tokens BIGINT DEFAULT '0' NOT NULL, cache_read_tokens BIGINT DEFAULT '0' NOT NULL, cache_write_tokens BIGINT DEFAULT '0' NOT NULL, amount BIGINT DEFAULT '0', options JSON DEFAULT '{}' NOT NULL, "temporary" BOOLEAN DEFAULT 0 NOT NULL, tools JSON DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO conversations VALUES ('01a2246b189874369de753957bef13dd', '01a2246aceaf75a5901ceb79098da32a', 'Travel', 'Be brief.', 'claude-opus-5-5', 0, 1, '01a2246b22997449bcba16ead4a316dd', '2026-11-28 23:08:48.152357', '2026-11-28 23:08:50.713333', 33, 16, 0, 0, 452000000, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246b2372751e9d7440b15b615519', '01a2246aceaf75a5901ceb79098da32a', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246b2372751e9d7440b37801a14d', '2026-11-28 23:08:50.930107', '2026-11-28 23:08:50.930535', 0, 0, 0, 0, 0, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246b2506755eab67d971e47449c6', '01a2246aceaf75a5901ceb79098da32a', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246b2511705f91cce73eae5ed95f', '2026-11-28 23:08:51.334215', '2026-11-28 23:08:51.345963', 11, 7, 0, 0, 184000000, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246b25db73a58a2a70515c19178c', '01a2246aceaf75a5901ceb79098da32a', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246b2c7f739eb1901820e362e256', '2026-11-28 23:08:51.547590', '2026-11-28 23:08:53.247764', 132, 84, 0, 0, 2208000000, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246b2d297280a95a96cd0fe79901', '01a2246aceaf75a5901ceb79098da32a', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246b2d2a710b81db7a8520e2e69f', '2026-11-28 23:08:53.417455', '2026-11-28 23:08:53.418151', 0, 0, 0, 0, 0, '{}', 0, '{"client":[{"name":"read_page","description":"Reads the page.","input_schema":{"type":"object"}}]}');
INSERT INTO conversations VALUES ('01a2246b2e2c732586176d55fe453e79', '01a2246aceaf75a5901ceb79098da32a', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246b2e567014bb184af8ccdaab96', '2026-11-28 23:08:53.676974', '2026-11-28 23:08:53.718819', 0, 0, 0, 0, 0, '{}', 0, '{}');
CREATE TABLE messages (
	id CHAR(32) NOT NULL, 
	conversation_id CHAR(32) NOT NULL, 
	parent_id CHAR(32), 
	role VARCHAR NOT NULL, 
	depth INTEGER NOT NULL, 
	content JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT messages_role CHECK (role IN ('user', 'assistant')), 
	FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE, 
	FOREIGN KEY(parent_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO messages VALUES ('01a2246b189874369de75396e08b625a', '01a2246b189874369de753957bef13dd', NULL, 'user', 0, '[{"type":"text","text":"Where shall I go?"}]', '2026-11-28 23:08:48.152896');
INSERT INTO messages VALUES ('01a2246b1899740ca91914c157b151a4', '01a2246b189874369de753957bef13dd', '01a2246b189874369de75396e08b625a', 'assistant', 1, '[{"type":"thinking","thinking":"The sea, perhaps.","signature":"c2lnbmVk"},{"type":"text","text":"Lisbon is lovely 👋"}]', '2026-11-28 23:08:48.153354');
INSERT INTO messages VALUES ('01a2246b21387599816cfc1950ddb3c8', '01a2246b189874369de753957bef13dd', '01a2246b1899740ca91914c157b151a4', 'user', 2, '[{"type":"text","text":"And in winter?"}]', '2026-11-28 23:08:50.360508');
INSERT INTO messages VALUES ('01a2246b214c77b58ce50d558edab4b7', '01a2246b189874369de753957bef13dd', '01a2246b21387599816cfc1950ddb3c8', 'assistant', 3, '[{"type":"text","text":"Then the","partial":true}]', '2026-11-28 23:08:50.380164');
INSERT INTO messages VALUES ('01a2246b229776918dd226b5511f3179', '01a2246b189874369de753957bef13dd', '01a2246b1899740ca91914c157b151a4', 'user', 2, '[{"type":"text","text":"And in summer?"}]', '2026-11-28 23:08:50.711871');
INSERT INTO messages VALUES ('01a2246b22997449bcba16ead4a316dd', '01a2246b189874369de753957bef13dd', '01a2246b229776918dd226b5511f3179', 'assistant', 3, '[{"type":"text","text":"Porto has a breeze"}]', '2026-11-28 23:08:50.713333');
INSERT INTO messages VALUES ('01a2246b2372751e9d7440b26ccbcfa4', '01a2246b2372751e9d7440b15b615519', NULL, 'user', 0, '[{"type":"text","text":"What is wrong?"}]', '2026-11-28 23:08:50.930305');
INSERT INTO messages VALUES ('01a2246b2372751e9d7440b37801a14d', '01a2246b2372751e9d7440b15b615519', '01a2246b2372751e9d7440b26ccbcfa4', 'assistant', 1, '[]', '2026-11-28 23:08:50.930535');
INSERT INTO messages VALUES ('01a2246b2511705f91cce73d0f191c29', '01a2246b2506755eab67d971e47449c6', NULL, 'user', 0, '[{"type":"document","source":{"type":"attachment","attachment_id":"01a2246b-24e5-7587-b6bf-756908f001d7","media_type":"application/pdf","pages":1},"title":"report.pdf","citations":{"enabled":true}},{"type":"text","text":"What does it say?"}]', '2026-11-28 23:08:51.345704');
INSERT INTO messages VALUES ('01a2246b2511705f91cce73eae5ed95f', '01a2246b2506755eab67d971e47449c6', '01a2246b2511705f91cce73d0f191c29', 'assistant', 1, '[{"type":"text","text":"It says that sales rose."}]', '2026-11-28 23:08:51.345963');
INSERT INTO messages VALUES ('01a2246b25db73a58a2a7052b810228f', '01a2246b25db73a58a2a70515c19178c', NULL, 'user', 0, '[{"type":"text","text":"Ask number0"}]', '2026-11-28 23:08:51.547801');
INSERT INTO messages VALUES ('01a2246b25db73a58a2a7053af9fd74a', '01a2246b25db73a58a2a70515c19178c', '01a2246b25db73a58a2a7052b810228f', 'assistant', 1, '[{"type":"text","text":"Answer number0 of v1.2.3"}]', '2026-11-28 23:08:51.548006');
INSERT INTO messages VALUES ('01a2246b265273a4b9fe24578e029f58', '01a2246b25db73a58a2a70515c19178c', '01a2246b25db73a58a2a7053af9fd74a', 'user', 2, '[{"type":"text","text":"Ask number1"}]', '2026-11-28 23:08:51.666459');
INSERT INTO messages VALUES ('01a2246b26537228bdf7811d02ad20f9', '01a2246b25db73a58a2a70515c19178c', '01a2246b265273a4b9fe24578e029f58', 'assistant', 3, '[{"type":"text","text":"Answer number1 of v1.2.3"}]', '2026-11-28 23:08:51.667484');
INSERT INTO messages VALUES ('01a2246b26b17773b9c72e5cba2d2208', '01a2246b25db73a58a2a70515c19178c', '01a2246b26537228bdf7811d02ad20f9', 'user', 4, '[{"type":"text","text":"Ask number2"}]', '2026-11-28 23:08:51.761607');
INSERT INTO messages VALUES ('01a2246b26b2778f9ac2b4b0870e5018', '01a2246b25db73a58a2a70515c19178c', '01a2246b26b17773b9c72e5cba2d2208', 'assistant', 5, '[{"type":"text","text":"Answer number2 of v1.2.3"}]', '2026-11-28 23:08:51.762359');
INSERT INTO messages VALUES ('01a2246b26df75c8bb6733dd9278b437', '01a2246b25db73a58a2a70515c19178c', '01a2246b26b2778f9ac2b4b0870e5018', 'user', 6, '[{"type":"text","text":"Ask number3"}]', '2026-11-28 23:08:51.807493');
INSERT INTO messages VALUES ('01a2246b26e072cf9ee9197df4bcd190', '01a2246b25db73a58a2a70515c19178c', '01a2246b26df75c8bb6733dd9278b437', 'assistant', 7, '[{"type":"text","text":"Answer number3 of v1.2.3"}]', '2026-11-28 23:08:51.808245');
INSERT INTO messages VALUES ('01a2246b275e7193ae5190a92dbdaad0', '01a2246b25db73a58a2a70515c19178c', '01a2246b26e072cf9ee9197df4bcd190', 'user', 8, '[{"type":"text","text":"Ask number4"}]', '2026-11-28 23:08:51.934647');
INSERT INTO messages VALUES ('01a2246b2763773284a6762778b0e16d', '01a2246b25db73a58a2a70515c19178c', '01a2246b275e7193ae5190a92dbdaad0', 'assistant', 9, '[{"type":"text","text":"Answer number4 of v1.2.3"}]', '2026-11-28 23:08:51.939865');
INSERT INTO messages VALUES ('01a2246b280777828f9c1d9dc1e18ecd', '01a2246b25db73a58a2a70515c19178c', '01a2246b2763773284a6762778b0e16d', 'user', 10, '[{"type":"text","text":"Ask number5"}]', '2026-11-28 23:08:52.103541');
INSERT INTO messages VALUES ('01a2246b280b702aa3c44d3abbb43e67', '01a2246b25db73a58a2a70515c19178c', '01a2246b280777828f9c1d9dc1e18ecd', 'assistant', 11, '[{"type":"text","text":"Answer number5 of v1.2.3"}]', '2026-11-28 23:08:52.107702');
INSERT INTO messages VALUES ('01a2246b298873ab91e2a032b2eab489', '01a2246b25db73a58a2a70515c19178c', '01a2246b280b702aa3c44d3abbb43e67', 'user', 12, '[{"type":"text","text":"Ask number6"}]', '2026-11-28 23:08:52.488379');
INSERT INTO messages VALUES ('01a2246b299b76bba81333fe7cd0f4aa', '01a2246b25db73a58a2a70515c19178c', '01a2246b298873ab91e2a032b2eab489', 'assistant', 13, '[{"type":"text","text":"Answer number6 of v1.2.3"}]', '2026-11-28 23:08:52.507996');
INSERT INTO messages VALUES ('01a2246b2a50746ca42d642ac4eb568a', '01a2246b25db73a58a2a70515c19178c', '01a2246b299b76bba81333fe7cd0f4aa', 'user', 14, '[{"type":"text","text":"Ask number7"}]', '2026-11-28 23:08:52.688403');
INSERT INTO messages VALUES ('01a2246b2a5176d099a12ba1c27922d6', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a50746ca42d642ac4eb568a', 'assistant', 15, '[{"type":"text","text":"Answer number7 of v1.2.3"}]', '2026-11-28 23:08:52.689591');
INSERT INTO messages VALUES ('01a2246b2a8377449f6771bfc3b5a9fb', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a5176d099a12ba1c27922d6', 'user', 16, '[{"type":"text","text":"Ask number8"}]', '2026-11-28 23:08:52.739143');
INSERT INTO messages VALUES ('01a2246b2a84712ea733597d13596790', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a8377449f6771bfc3b5a9fb', 'assistant', 17, '[{"type":"text","text":"Answer number8 of v1.2.3"}]', '2026-11-28 23:08:52.740198');
INSERT INTO messages VALUES ('01a2246b2ad77496a166b7a2e80ee3b0', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a84712ea733597d13596790', 'user', 18, '[{"type":"text","text":"Ask number9"}]', '2026-11-28 23:08:52.823236');
INSERT INTO messages VALUES ('01a2246b2ad8731bb25b2bfe9929e80f', '01a2246b25db73a58a2a70515c19178c', '01a2246b2ad77496a166b7a2e80ee3b0', 'assistant', 19, '[{"type":"text","text":"Answer number9 of v1.2.3"}]', '2026-11-28 23:08:52.824752');
INSERT INTO messages VALUES ('01a2246b2ba471b49af92ab1c8011c3c', '01a2246b25db73a58a2a70515c19178c', '01a2246b2ad8731bb25b2bfe9929e80f', 'user', 20, '[{"type":"text","text":"Ask number10"}]', '2026-11-28 23:08:53.028948');
INSERT INTO messages VALUES ('01a2246b2bab71cd958c39e7b133b634', '01a2246b25db73a58a2a70515c19178c', '01a2246b2ba471b49af92ab1c8011c3c', 'assistant', 21, '[{"type":"text","text":"Answer number10 of v1.2.3"}]', '2026-11-28 23:08:53.035752');
INSERT INTO messages VALUES ('01a2246b2c77702ba16b54b0c076a96e', '01a2246b25db73a58a2a70515c19178c', '01a2246b2bab71cd958c39e7b133b634', 'user', 22, '[{"type":"text","text":"Ask number11"}]', '2026-11-28 23:08:53.239327');
INSERT INTO messages VALUES ('01a2246b2c7f739eb1901820e362e256', '01a2246b25db73a58a2a70515c19178c', '01a2246b2c77702ba16b54b0c076a96e', 'assistant', 23, '[{"type":"text","text":"Answer number11 of v1.2.3"}]', '2026-11-28 23:08:53.247764');
INSERT INTO messages VALUES ('01a2246b2d297280a95a96ce2201173a', '01a2246b2d297280a95a96cd0fe79901', NULL, 'user', 0, '[{"type":"text","text":"Read it"}]', '2026-11-28 23:08:53.417833');
INSERT INTO messages VALUES ('01a2246b2d2a710b81db7a8520e2e69f', '01a2246b2d297280a95a96cd0fe79901', '01a2246b2d297280a95a96ce2201173a', 'assistant', 1, '[{"type":"tool_use","id":"toolu_b3fb36a8d7864683a8c7108372b165a8","name":"read_page","input":{}}]', '2026-11-28 23:08:53.418151');
INSERT INTO messages VALUES ('01a2246b2e2d778a9d2a6f290e9e4ed6', '01a2246b2e2c732586176d55fe453e79', NULL, 'user', 0, '[{"type":"text","text":"Tell me all"}]', '2026-11-28 23:08:53.677243');
INSERT INTO messages VALUES ('01a2246b2e2d778a9d2a6f2ac8f5f4e2', '01a2246b2e2c732586176d55fe453e79', '01a2246b2e2d778a9d2a6f290e9e4ed6', 'assistant', 1, '[{"type":"text","text":"Half of it","partial":true}]', '2026-11-28 23:08:53.677535');
INSERT INTO messages VALUES ('01a2246b2e557338a31c91fbc61850cf', '01a2246b2e2c732586176d55fe453e79', '01a2246b2e2d778a9d2a6f2ac8f5f4e2', 'user', 2, '[{"type":"text","text":"And then?"}]', '2026-11-28 23:08:53.718018');
INSERT INTO messages VALUES ('01a2246b2e567014bb184af8ccdaab96', '01a2246b2e2c732586176d55fe453e79', '01a2246b2e557338a31c91fbc61850cf', 'assistant', 3, '[]', '2026-11-28 23:08:53.718819');
CREATE TABLE idempotency_keys (
	owner_id CHAR(32) NOT NULL, 
	"key" VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	generation_id CHAR(32) NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (owner_id, "key"), 
	FOREIGN KEY(generation_id) REFERENCES generations (id) ON DELETE CASCADE, 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO idempotency_keys VALUES ('01a2246aceaf75a5901ceb79098da32a', '90be9ef9-4c19-449e-b3c2-5d5fce5b90b9', '2b5662fc8656ca42759918b2c923587d4828c03d0632f17d33d9c98fb56e243f', '01a2246b1899740ca91914c2c0131cf5', '2026-11-28 23:08:48.219419');
CREATE TABLE "generations" (
	id CHAR(32) NOT NULL, 
	conversation_id CHAR(32) NOT NULL, 
	message_id CHAR(32) NOT NULL, 
	status VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	options JSON NOT NULL, 
	sequence INTEGER NOT NULL, 
	stop_reason VARCHAR, 
	error JSON, 
	request_id VARCHAR, 
	prefix VARCHAR, 
	input_tokens INTEGER, 
	output_tokens INTEGER, 
	cache_read_tokens INTEGER, 
	cache_write_tokens INTEGER, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	first_token_at DATETIME, 
	finished_at DATETIME, 
	holder CHAR(32), 
	lease_until DATETIME, 
	stop_requested BOOLEAN DEFAULT 0 NOT NULL, waits_for CHAR(32), amount BIGINT, left_out JSON DEFAULT '{}' NOT NULL, reserved BIGINT, context_tokens INTEGER, tools_expire_at DATETIME, 
	PRIMARY KEY (id), 
	CONSTRAINT generations_status CHECK (status IN ('queued', 'running', 'awaiting_tool_results', 'completed', 'stopped', 'failed')), 
	FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE, 
	UNIQUE (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO generations VALUES ('01a2246b1899740ca91914c2c0131cf5', '01a2246b189874369de753957bef13dd', '01a2246b1899740ca91914c157b151a4', 'completed', 'claude-opus-5-5', '{}', 8, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:48.153602', '2026-11-28 23:08:48.213554', '2026-11-28 23:08:49.689404', '2026-11-28 23:08:50.124964', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:08:58.695781', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b214c77b58ce50d5678c2bb1c', '01a2246b189874369de753957bef13dd', '01a2246b214c77b58ce50d558edab4b7', 'stopped', 'claude-opus-5-5', '{}', 4, NULL, 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 2, NULL, NULL, '2026-11-28 23:08:50.380424', '2026-11-28 23:08:50.409615', '2026-11-28 23:08:50.489210', '2026-11-28 23:08:50.613316', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:00.409728', 0, NULL, 84000000, '{"thinking_of_another_prefix": 1}', NULL, 12, NULL);
INSERT INTO generations VALUES ('01a2246b22997449bcba16eb3905f432', '01a2246b189874369de753957bef13dd', '01a2246b22997449bcba16ead4a316dd', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 7, NULL, NULL, '2026-11-28 23:08:50.713588', '2026-11-28 23:08:50.731325', '2026-11-28 23:08:50.803591', '2026-11-28 23:08:50.816620', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:00.731439', 0, NULL, 184000000, '{"thinking_of_another_prefix": 1}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2372751e9d7440b492e5d913', '01a2246b2372751e9d7440b15b615519', '01a2246b2372751e9d7440b37801a14d', 'failed', 'claude-opus-5-5', '{}', 2, NULL, '{"code":"invalid_request_error","message":"no","request_id":"req_scripted","retry_after_seconds":null}', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', NULL, NULL, NULL, NULL, '2026-11-28 23:08:50.930652', '2026-11-28 23:08:50.939385', NULL, '2026-11-28 23:08:51.126409', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:00.939513', 0, NULL, 0, '{}', NULL, 0, NULL);
INSERT INTO generations VALUES ('01a2246b251276d184aa08b44b7bc5b0', '01a2246b2506755eab67d971e47449c6', '01a2246b2511705f91cce73eae5ed95f', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:51.346093', '2026-11-28 23:08:51.356496', '2026-11-28 23:08:51.487296', '2026-11-28 23:08:51.495694', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:01.356576', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b25dc73b0983ce02b9a70e9ae', '01a2246b25db73a58a2a70515c19178c', '01a2246b25db73a58a2a7053af9fd74a', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:51.548125', '2026-11-28 23:08:51.567608', '2026-11-28 23:08:51.608373', '2026-11-28 23:08:51.617685', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:01.567695', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b26537228bdf7811e02917e8e', '01a2246b25db73a58a2a70515c19178c', '01a2246b26537228bdf7811d02ad20f9', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:51.667620', '2026-11-28 23:08:51.670027', '2026-11-28 23:08:51.684818', '2026-11-28 23:08:51.746117', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:01.670085', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b26b2778f9ac2b4b129a71c27', '01a2246b25db73a58a2a70515c19178c', '01a2246b26b2778f9ac2b4b0870e5018', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:51.762518', '2026-11-28 23:08:51.765027', '2026-11-28 23:08:51.772063', '2026-11-28 23:08:51.773027', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:01.765088', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b26e072cf9ee9197ea7c75b0a', '01a2246b25db73a58a2a70515c19178c', '01a2246b26e072cf9ee9197df4bcd190', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:51.808376', '2026-11-28 23:08:51.810932', '2026-11-28 23:08:51.872017', '2026-11-28 23:08:51.881787', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:01.810993', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2764713b9b0bc0e345f0168e', '01a2246b25db73a58a2a70515c19178c', '01a2246b2763773284a6762778b0e16d', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:51.940077', '2026-11-28 23:08:51.943757', '2026-11-28 23:08:52.020698', '2026-11-28 23:08:52.022686', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:01.943835', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b280b702aa3c44d3be3614c90', '01a2246b25db73a58a2a70515c19178c', '01a2246b280b702aa3c44d3abbb43e67', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:52.107909', '2026-11-28 23:08:52.127524', '2026-11-28 23:08:52.204370', '2026-11-28 23:08:52.220414', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:02.127628', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b299c752080948996e556b77f', '01a2246b25db73a58a2a70515c19178c', '01a2246b299b76bba81333fe7cd0f4aa', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:52.508227', '2026-11-28 23:08:52.534290', '2026-11-28 23:08:52.604561', '2026-11-28 23:08:52.612092', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:02.534390', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2a5176d099a12ba29d1f4275', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a5176d099a12ba1c27922d6', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:52.689799', '2026-11-28 23:08:52.693454', '2026-11-28 23:08:52.701217', '2026-11-28 23:08:52.702578', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:02.693536', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2a84712ea733597e802e4fcc', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a84712ea733597d13596790', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:52.740382', '2026-11-28 23:08:52.743931', '2026-11-28 23:08:52.754092', '2026-11-28 23:08:52.755858', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:02.744000', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2ad8731bb25b2bff1a5ec2d8', '01a2246b25db73a58a2a70515c19178c', '01a2246b2ad8731bb25b2bfe9929e80f', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:52.824942', '2026-11-28 23:08:52.843222', '2026-11-28 23:08:52.880844', '2026-11-28 23:08:52.888668', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:02.843320', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2bab71cd958c39e8caff1391', '01a2246b25db73a58a2a70515c19178c', '01a2246b2bab71cd958c39e7b133b634', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:53.035963', '2026-11-28 23:08:53.051408', '2026-11-28 23:08:53.092548', '2026-11-28 23:08:53.103841', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:03.051516', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2c7f739eb1901821628c7351', '01a2246b25db73a58a2a70515c19178c', '01a2246b2c7f739eb1901820e362e256', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:08:53.247974', '2026-11-28 23:08:53.260365', '2026-11-28 23:08:53.300554', '2026-11-28 23:08:53.304549', '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:03.260472', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246b2d2a710b81db7a86b85fbbf2', '01a2246b2d297280a95a96cd0fe79901', '01a2246b2d2a710b81db7a8520e2e69f', 'awaiting_tool_results', 'claude-opus-5-5', '{}', 5, 'tool_use', 'null', NULL, 'cd1f9bbca5a8d8df17d48592dc59f1e4', 11, 7, NULL, NULL, '2026-11-28 23:08:53.418335', '2026-11-28 23:08:53.432702', NULL, NULL, NULL, NULL, 0, NULL, 184000000, '{}', NULL, NULL, '2026-11-29 00:08:53.558539');
INSERT INTO generations VALUES ('01a2246b2e2d778a9d2a6f2b92aba7d2', '01a2246b2e2c732586176d55fe453e79', '01a2246b2e2d778a9d2a6f2ac8f5f4e2', 'running', 'claude-opus-5-5', '{}', 3, NULL, 'null', NULL, '276a7d0e142fbde25d40b8738bb3b030', 11, 3, NULL, NULL, '2026-11-28 23:08:53.677701', '2026-11-28 23:08:53.681609', '2026-11-28 23:08:53.691507', NULL, '8378d66364bb40f5b9bb883cad468fdc', '2026-11-28 23:09:04.367903', 0, NULL, NULL, '{}', 640065000000, NULL, NULL);
INSERT INTO generations VALUES ('01a2246b2e567014bb184af9d441c750', '01a2246b2e2c732586176d55fe453e79', '01a2246b2e567014bb184af8ccdaab96', 'queued', 'claude-opus-5-5', '{}', 0, NULL, 'null', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-28 23:08:53.718943', NULL, NULL, NULL, NULL, NULL, 0, '01a2246b2e2d778a9d2a6f2b92aba7d2', NULL, '{}', NULL, NULL, NULL);
CREATE TABLE conversation_changes (
	owner_id CHAR(32) NOT NULL, 
	sequence INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	conversation_id CHAR(32) NOT NULL, 
	generation_id CHAR(32), 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (owner_id, sequence), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 1, 'created', '01a2246b189874369de753957bef13dd', NULL, '2026-11-28 23:08:48.221635');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 2, 'generation_started', '01a2246b189874369de753957bef13dd', '01a2246b1899740ca91914c2c0131cf5', '2026-11-28 23:08:48.221635');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 3, 'generation_ended', '01a2246b189874369de753957bef13dd', '01a2246b1899740ca91914c2c0131cf5', '2026-11-28 23:08:50.182156');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 4, 'updated', '01a2246b189874369de753957bef13dd', NULL, '2026-11-28 23:08:50.275279');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 5, 'generation_started', '01a2246b189874369de753957bef13dd', '01a2246b214c77b58ce50d5678c2bb1c', '2026-11-28 23:08:50.423961');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 6, 'generation_ended', '01a2246b189874369de753957bef13dd', '01a2246b214c77b58ce50d5678c2bb1c', '2026-11-28 23:08:50.635813');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 7, 'generation_started', '01a2246b189874369de753957bef13dd', '01a2246b22997449bcba16eb3905f432', '2026-11-28 23:08:50.739068');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 8, 'generation_ended', '01a2246b189874369de753957bef13dd', '01a2246b22997449bcba16eb3905f432', '2026-11-28 23:08:50.909309');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 9, 'created', '01a2246b2372751e9d7440b15b615519', NULL, '2026-11-28 23:08:50.956877');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 10, 'generation_started', '01a2246b2372751e9d7440b15b615519', '01a2246b2372751e9d7440b492e5d913', '2026-11-28 23:08:50.956877');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 11, 'generation_ended', '01a2246b2372751e9d7440b15b615519', '01a2246b2372751e9d7440b492e5d913', '2026-11-28 23:08:51.146865');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 12, 'created', '01a2246b2506755eab67d971e47449c6', NULL, '2026-11-28 23:08:51.371820');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 13, 'generation_started', '01a2246b2506755eab67d971e47449c6', '01a2246b251276d184aa08b44b7bc5b0', '2026-11-28 23:08:51.371820');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 14, 'generation_ended', '01a2246b2506755eab67d971e47449c6', '01a2246b251276d184aa08b44b7bc5b0', '2026-11-28 23:08:51.509057');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 15, 'created', '01a2246b25db73a58a2a70515c19178c', NULL, '2026-11-28 23:08:51.587903');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 16, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b25dc73b0983ce02b9a70e9ae', '2026-11-28 23:08:51.587903');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 17, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b25dc73b0983ce02b9a70e9ae', '2026-11-28 23:08:51.624743');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 18, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b26537228bdf7811e02917e8e', '2026-11-28 23:08:51.671729');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 19, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b26537228bdf7811e02917e8e', '2026-11-28 23:08:51.748757');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 20, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b26b2778f9ac2b4b129a71c27', '2026-11-28 23:08:51.766305');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 21, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b26b2778f9ac2b4b129a71c27', '2026-11-28 23:08:51.775170');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 22, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b26e072cf9ee9197ea7c75b0a', '2026-11-28 23:08:51.816888');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 23, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b26e072cf9ee9197ea7c75b0a', '2026-11-28 23:08:51.916347');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 24, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b2764713b9b0bc0e345f0168e', '2026-11-28 23:08:51.971050');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 25, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b2764713b9b0bc0e345f0168e', '2026-11-28 23:08:52.032847');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 26, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b280b702aa3c44d3be3614c90', '2026-11-28 23:08:52.141757');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 27, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b280b702aa3c44d3be3614c90', '2026-11-28 23:08:52.279612');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 28, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b299c752080948996e556b77f', '2026-11-28 23:08:52.555786');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 29, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b299c752080948996e556b77f', '2026-11-28 23:08:52.667631');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 30, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a5176d099a12ba29d1f4275', '2026-11-28 23:08:52.695532');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 31, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a5176d099a12ba29d1f4275', '2026-11-28 23:08:52.720550');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 32, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a84712ea733597e802e4fcc', '2026-11-28 23:08:52.745911');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 33, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a84712ea733597e802e4fcc', '2026-11-28 23:08:52.762849');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 34, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b2ad8731bb25b2bff1a5ec2d8', '2026-11-28 23:08:52.848251');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 35, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b2ad8731bb25b2bff1a5ec2d8', '2026-11-28 23:08:52.927768');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 36, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b2bab71cd958c39e8caff1391', '2026-11-28 23:08:53.054747');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 37, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b2bab71cd958c39e8caff1391', '2026-11-28 23:08:53.143175');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 38, 'generation_started', '01a2246b25db73a58a2a70515c19178c', '01a2246b2c7f739eb1901821628c7351', '2026-11-28 23:08:53.271194');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 39, 'generation_ended', '01a2246b25db73a58a2a70515c19178c', '01a2246b2c7f739eb1901821628c7351', '2026-11-28 23:08:53.339050');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 40, 'created', '01a2246b2d297280a95a96cd0fe79901', NULL, '2026-11-28 23:08:53.444351');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 41, 'generation_started', '01a2246b2d297280a95a96cd0fe79901', '01a2246b2d2a710b81db7a86b85fbbf2', '2026-11-28 23:08:53.444351');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 42, 'updated', '01a2246b2d297280a95a96cd0fe79901', '01a2246b2d2a710b81db7a86b85fbbf2', '2026-11-28 23:08:53.572422');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 43, 'created', '01a2246b2e2c732586176d55fe453e79', NULL, '2026-11-28 23:08:53.684423');
INSERT INTO conversation_changes VALUES ('01a2246aceaf75a5901ceb79098da32a', 44, 'generation_started', '01a2246b2e2c732586176d55fe453e79', '01a2246b2e2d778a9d2a6f2b92aba7d2', '2026-11-28 23:08:53.684423');
CREATE VIRTUAL TABLE message_words USING fts5(id, owner, words, tokenize = 'ascii');
INSERT INTO message_words VALUES ('01a2246b189874369de75396e08b625a', '01a2246aceaf75a5901ceb79098da32a', 'where shall i go');
INSERT INTO message_words VALUES ('01a2246b1899740ca91914c157b151a4', '01a2246aceaf75a5901ceb79098da32a', 'lisbon is lovely');
INSERT INTO message_words VALUES ('01a2246b21387599816cfc1950ddb3c8', '01a2246aceaf75a5901ceb79098da32a', 'and in winter');
INSERT INTO message_words VALUES ('01a2246b214c77b58ce50d558edab4b7', '01a2246aceaf75a5901ceb79098da32a', 'then the');
INSERT INTO message_words VALUES ('01a2246b229776918dd226b5511f3179', '01a2246aceaf75a5901ceb79098da32a', 'and in summer');
INSERT INTO message_words VALUES ('01a2246b22997449bcba16ead4a316dd', '01a2246aceaf75a5901ceb79098da32a', 'porto has a breeze');
INSERT INTO message_words VALUES ('01a2246b2372751e9d7440b26ccbcfa4', '01a2246aceaf75a5901ceb79098da32a', 'what is wrong');
INSERT INTO message_words VALUES ('01a2246b2511705f91cce73d0f191c29', '01a2246aceaf75a5901ceb79098da32a', 'what does it say');
INSERT INTO message_words VALUES ('01a2246b2511705f91cce73eae5ed95f', '01a2246aceaf75a5901ceb79098da32a', 'it says that sales rose');
INSERT INTO message_words VALUES ('01a2246b25db73a58a2a7052b810228f', '01a2246aceaf75a5901ceb79098da32a', 'ask number0');
INSERT INTO message_words VALUES ('01a2246b25db73a58a2a7053af9fd74a', '01a2246aceaf75a5901ceb79098da32a', 'answer number0 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b265273a4b9fe24578e029f58', '01a2246aceaf75a5901ceb79098da32a', 'ask number1');
INSERT INTO message_words VALUES ('01a2246b26537228bdf7811d02ad20f9', '01a2246aceaf75a5901ceb79098da32a', 'answer number1 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b26b17773b9c72e5cba2d2208', '01a2246aceaf75a5901ceb79098da32a', 'ask number2');
INSERT INTO message_words VALUES ('01a2246b26b2778f9ac2b4b0870e5018', '01a2246aceaf75a5901ceb79098da32a', 'answer number2 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b26df75c8bb6733dd9278b437', '01a2246aceaf75a5901ceb79098da32a', 'ask number3');
INSERT INTO message_words VALUES ('01a2246b26e072cf9ee9197df4bcd190', '01a2246aceaf75a5901ceb79098da32a', 'answer number3 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b275e7193ae5190a92dbdaad0', '01a2246aceaf75a5901ceb79098da32a', 'ask number4');
INSERT INTO message_words VALUES ('01a2246b2763773284a6762778b0e16d', '01a2246aceaf75a5901ceb79098da32a', 'answer number4 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b280777828f9c1d9dc1e18ecd', '01a2246aceaf75a5901ceb79098da32a', 'ask number5');
INSERT INTO message_words VALUES ('01a2246b280b702aa3c44d3abbb43e67', '01a2246aceaf75a5901ceb79098da32a', 'answer number5 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b298873ab91e2a032b2eab489', '01a2246aceaf75a5901ceb79098da32a', 'ask number6');
INSERT INTO message_words VALUES ('01a2246b299b76bba81333fe7cd0f4aa', '01a2246aceaf75a5901ceb79098da32a', 'answer number6 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b2a50746ca42d642ac4eb568a', '01a2246aceaf75a5901ceb79098da32a', 'ask number7');
INSERT INTO message_words VALUES ('01a2246b2a5176d099a12ba1c27922d6', '01a2246aceaf75a5901ceb79098da32a', 'answer number7 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b2a8377449f6771bfc3b5a9fb', '01a2246aceaf75a5901ceb79098da32a', 'ask number8');
INSERT INTO message_words VALUES ('01a2246b2a84712ea733597d13596790', '01a2246aceaf75a5901ceb79098da32a', 'answer number8 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b2ad77496a166b7a2e80ee3b0', '01a2246aceaf75a5901ceb79098da32a', 'ask number9');
INSERT INTO message_words VALUES ('01a2246b2ad8731bb25b2bfe9929e80f', '01a2246aceaf75a5901ceb79098da32a', 'answer number9 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b2ba471b49af92ab1c8011c3c', '01a2246aceaf75a5901ceb79098da32a', 'ask number10');
INSERT INTO message_words VALUES ('01a2246b2bab71cd958c39e7b133b634', '01a2246aceaf75a5901ceb79098da32a', 'answer number10 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b2c77702ba16b54b0c076a96e', '01a2246aceaf75a5901ceb79098da32a', 'ask number11');
INSERT INTO message_words VALUES ('01a2246b2c7f739eb1901820e362e256', '01a2246aceaf75a5901ceb79098da32a', 'answer number11 of v1 2 3');
INSERT INTO message_words VALUES ('01a2246b2d297280a95a96ce2201173a', '01a2246aceaf75a5901ceb79098da32a', 'read it');
INSERT INTO message_words VALUES ('01a2246b2e2d778a9d2a6f290e9e4ed6', '01a2246aceaf75a5901ceb79098da32a', 'tell me all');
INSERT INTO message_words VALUES ('01a2246b2e557338a31c91fbc61850cf', '01a2246aceaf75a5901ceb79098da32a', 'and then');
CREATE TABLE calls (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	conversation_id CHAR(32), 
	generation_id CHAR(32), 
	purpose VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	request_id VARCHAR, 
	outcome VARCHAR(32) NOT NULL, 
	input_tokens BIGINT DEFAULT '0' NOT NULL, 
	output_tokens BIGINT DEFAULT '0' NOT NULL, 
	cache_read_tokens BIGINT DEFAULT '0' NOT NULL, 
	cache_write_tokens BIGINT DEFAULT '0' NOT NULL, 
	cache_write_1h_tokens BIGINT DEFAULT '0' NOT NULL, 
	amount BIGINT, 
	prices VARCHAR NOT NULL, 
	day DATE NOT NULL, 
	created_at DATETIME NOT NULL, estimated BOOLEAN DEFAULT 0 NOT NULL, web_searches BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO calls VALUES ('01a2246b2072711dbc7282b92c90f834', '01a2246aceaf75a5901ceb79098da32a', '01a2246b189874369de753957bef13dd', '01a2246b1899740ca91914c2c0131cf5', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:50.161700', 0, 0);
INSERT INTO calls VALUES ('01a2246b224574fe8c312b0e213772a8', '01a2246aceaf75a5901ceb79098da32a', '01a2246b189874369de753957bef13dd', '01a2246b214c77b58ce50d5678c2bb1c', 'answer', 'claude-opus-5-5', 'req_scripted', 'stopped', 11, 2, 0, 0, 0, 84000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:50.628859', 1, 0);
INSERT INTO calls VALUES ('01a2246b235b701cbeb71ea6844d17ff', '01a2246aceaf75a5901ceb79098da32a', '01a2246b189874369de753957bef13dd', '01a2246b22997449bcba16eb3905f432', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:50.906907', 0, 0);
INSERT INTO calls VALUES ('01a2246b244672d4bd542f7cdc9d7ce3', '01a2246aceaf75a5901ceb79098da32a', '01a2246b2372751e9d7440b15b615519', '01a2246b2372751e9d7440b492e5d913', 'answer', 'claude-opus-5-5', 'req_scripted', 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:08:51.142339', 0, 0);
INSERT INTO calls VALUES ('01a2246b25ac72629060ae4d27e12592', '01a2246aceaf75a5901ceb79098da32a', '01a2246b2506755eab67d971e47449c6', '01a2246b251276d184aa08b44b7bc5b0', 'answer', 'claude-opus-5-5', NULL, 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:08:51.500186', 0, 0);
INSERT INTO calls VALUES ('01a2246b25ac72629060ae4e7704892d', '01a2246aceaf75a5901ceb79098da32a', '01a2246b2506755eab67d971e47449c6', '01a2246b251276d184aa08b44b7bc5b0', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:51.500569', 0, 0);
INSERT INTO calls VALUES ('01a2246b2625740987ff6f285c161a13', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b25dc73b0983ce02b9a70e9ae', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:51.621548', 0, 0);
INSERT INTO calls VALUES ('01a2246b26a3710daa66b144b95e7f37', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b26537228bdf7811e02917e8e', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:51.747790', 0, 0);
INSERT INTO calls VALUES ('01a2246b26be729ebda3622f0dab7857', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b26b2778f9ac2b4b129a71c27', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:51.774209', 0, 0);
INSERT INTO calls VALUES ('01a2246b273d759a9ff9e587a0a09dda', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b26e072cf9ee9197ea7c75b0a', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:51.901121', 0, 0);
INSERT INTO calls VALUES ('01a2246b27bb7381bfeed498396a81c1', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b2764713b9b0bc0e345f0168e', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:52.027186', 0, 0);
INSERT INTO calls VALUES ('01a2246b28a37126b0696cc774c2591e', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b280b702aa3c44d3be3614c90', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:52.259464', 0, 0);
INSERT INTO calls VALUES ('01a2246b2a3777f0aa4120bf609e9e5f', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b299c752080948996e556b77f', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:52.663164', 0, 0);
INSERT INTO calls VALUES ('01a2246b2a6f76a69e017a2fdf319a56', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a5176d099a12ba29d1f4275', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:52.719051', 0, 0);
INSERT INTO calls VALUES ('01a2246b2a98766ca94e3fc901a7d214', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b2a84712ea733597e802e4fcc', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:52.760168', 0, 0);
INSERT INTO calls VALUES ('01a2246b2b2975c382689ffb73a311bf', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b2ad8731bb25b2bff1a5ec2d8', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:52.905259', 0, 0);
INSERT INTO calls VALUES ('01a2246b2c0372d495f639c6ef558ad6', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b2bab71cd958c39e8caff1391', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:53.123149', 0, 0);
INSERT INTO calls VALUES ('01a2246b2cca702496842cd6e3eeec10', '01a2246aceaf75a5901ceb79098da32a', '01a2246b25db73a58a2a70515c19178c', '01a2246b2c7f739eb1901821628c7351', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:53.322392', 0, 0);
INSERT INTO calls VALUES ('01a2246b2d5f74639f80e3225dcd6737', '01a2246aceaf75a5901ceb79098da32a', '01a2246b2d297280a95a96cd0fe79901', '01a2246b2d2a710b81db7a86b85fbbf2', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:08:53.471558', 0, 0);
CREATE TABLE blobs (
	id CHAR(32) NOT NULL, 
	file_id VARCHAR, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO blobs VALUES ('01a2246b24d7772ca9bb7fd85eda2595', NULL, '2026-11-28 23:08:51.287456');
CREATE TABLE attachments (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	conversation_id CHAR(32), 
	blob_id CHAR(32) NOT NULL, 
	filename VARCHAR NOT NULL, 
	media_type VARCHAR NOT NULL, 
	size_bytes BIGINT DEFAULT '0' NOT NULL, 
	width INTEGER, 
	height INTEGER, 
	pages INTEGER, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE, 
	FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE, 
	FOREIGN KEY(blob_id) REFERENCES blobs (id)
);
INSERT INTO attachments VALUES ('01a2246b24e57587b6bf756908f001d7', '01a2246aceaf75a5901ceb79098da32a', '01a2246b2506755eab67d971e47449c6', '01a2246b24d7772ca9bb7fd85eda2595', 'report.pdf', 'application/pdf', 586, NULL, NULL, 1, '2026-11-28 23:08:51.301870');
CREATE TABLE sign_ins (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	rotation BIGINT NOT NULL, 
	expires_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO sign_ins VALUES ('01a2246acfc670a9bb1f069482e2cd5a', '01a2246aceaf75a5901ceb79098da32a', 0, '2026-12-28 23:08:29.510108', NULL, '2026-11-28 23:08:29.510387');
CREATE TABLE personal_tokens (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	label VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	expires_at DATETIME, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE, 
	UNIQUE (digest)
);
INSERT INTO personal_tokens VALUES ('01a2246b0b5674eb81b324c790d288b4', '01a2246aceaf75a5901ceb79098da32a', 'script', '99fa3e0075bc7d46b6814063af783b8b04affd9fd833e390d33cb56f829a401e', NULL, '2026-11-28 23:08:44.758256');
CREATE TABLE audit (
	id CHAR(32) NOT NULL, 
	user_id CHAR(32), 
	action VARCHAR NOT NULL, 
	address VARCHAR, 
	detail JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO audit VALUES ('01a2246acfbb76229bd1dd4a9882e16d', '01a2246aceaf75a5901ceb79098da32a', 'registered', '127.0.0.1', '{}', '2026-11-28 23:08:29.499628');
INSERT INTO audit VALUES ('01a2246acfce7162a9550bc69bbe82b4', '01a2246aceaf75a5901ceb79098da32a', 'signed_in', '127.0.0.1', '{}', '2026-11-28 23:08:29.518203');
INSERT INTO audit VALUES ('01a2246b0b58765ab8aa9acd050c74f1', '01a2246aceaf75a5901ceb79098da32a', 'token_created', NULL, '{"token":"01a2246b-0b56-74eb-81b3-24c790d288b4"}', '2026-11-28 23:08:44.760064');
INSERT INTO audit VALUES ('01a2246b2ecd7561abeb503d97ffd2a1', '01a2246aceaf75a5901ceb79098da32a', 'exported', '127.0.0.1', '{"conversations":"01a2246b-1898-7436-9de7-53957bef13dd"}', '2026-11-28 23:08:53.838010');
INSERT INTO audit VALUES ('01a2246b2f1d77c096b28180483b651f', '01a2246aceaf75a5901ceb79098da32a', 'exported', '127.0.0.1', '{"conversations":"01a2246b-2372-751e-9d74-40b15b615519"}', '2026-11-28 23:08:53.917160');
INSERT INTO audit VALUES ('01a2246b2f377661be28f76c829bf2aa', '01a2246aceaf75a5901ceb79098da32a', 'exported', '127.0.0.1', '{"conversations":"01a2246b-2506-755e-ab67-d971e47449c6"}', '2026-11-28 23:08:53.943644');
INSERT INTO audit VALUES ('01a2246b2f4a70ebb6c2884cecc94a71', '01a2246aceaf75a5901ceb79098da32a', 'exported', '127.0.0.1', '{"conversations":"01a2246b-25db-73a5-8a2a-70515c19178c"}', '2026-11-28 23:08:53.962897');
CREATE TABLE tool_calls (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	conversation_id CHAR(32) NOT NULL, 
	generation_id CHAR(32) NOT NULL, 
	tool_use_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	asks_first BOOLEAN NOT NULL, 
	answer JSON, 
	fingerprint VARCHAR, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO tool_calls VALUES ('01a2246b2d87738083ee19dd4f02193a', '01a2246aceaf75a5901ceb79098da32a', '01a2246b2d297280a95a96cd0fe79901', '01a2246b2d2a710b81db7a86b85fbbf2', 'toolu_b3fb36a8d7864683a8c7108372b165a8', 'read_page', 'waiting', 0, 'null', NULL, '2026-11-28 23:08:53.511598', NULL, NULL);
CREATE INDEX conversations_by_activity ON conversations (owner_id, updated_at, id);
CREATE INDEX messages_by_conversation ON messages (conversation_id, id);
CREATE INDEX messages_by_parent ON messages (parent_id, id);
CREATE INDEX generations_by_conversation ON generations (conversation_id, status);
CREATE INDEX generations_by_lease ON generations (status, lease_until);
CREATE INDEX conversation_changes_by_age ON conversation_changes (created_at);
CREATE INDEX generations_by_line ON generations (waits_for);
CREATE TRIGGER messages_forget_words AFTER DELETE ON messages BEGIN
      DELETE FROM message_words WHERE rowid IN
        (SELECT rowid FROM message_words WHERE message_words MATCH 'id : "' || old.id || '"');
    END;
CREATE INDEX calls_by_owner ON calls (owner_id, created_at);
CREATE INDEX attachments_by_conversation ON attachments (conversation_id);
CREATE INDEX attachments_by_blob ON attachments (blob_id);
CREATE INDEX attachments_by_owner ON attachments (owner_id);
CREATE INDEX conversations_by_creation ON conversations (owner_id, created_at, id);
CREATE INDEX conversations_by_title ON conversations (owner_id, coalesce(lower(title), ''), id);
CREATE INDEX conversations_by_age ON conversations (updated_at) WHERE temporary = 1;
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject);
CREATE INDEX sign_ins_by_owner ON sign_ins (owner_id);
CREATE INDEX personal_tokens_by_owner ON personal_tokens (owner_id);
CREATE INDEX audit_by_user ON audit (user_id, created_at);
CREATE UNIQUE INDEX tool_calls_by_generation ON tool_calls (generation_id, tool_use_id);
CREATE INDEX tool_calls_by_owner ON tool_calls (owner_id, created_at);
