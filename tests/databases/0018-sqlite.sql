CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0018');
CREATE TABLE users (
	id CHAR(32) NOT NULL, 
	name VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, changes INTEGER DEFAULT '0' NOT NULL, password_hash VARCHAR, issuer VARCHAR, subject VARCHAR, name_skeleton VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO users VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 'ada', '2026-11-28 23:10:50.057361', 44, '$argon2id$v=19$m=65536,t=3,p=4$DWIGr4pxeEXGM9i8931Kqw$Wbf9l8eK0EGBWUgnWIFJzNdJ3jJ1dXJcrnz6Zaeomeg', NULL, NULL, 'ada');
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
INSERT INTO conversations VALUES ('01a2246d36b772d38491c6cbceff47f7', '01a2246cf4c974959d19b3c9994c1bfb', 'Travel', 'Be brief.', 'claude-opus-5-5', 0, 1, '01a2246d3ba872139d5e45855660f77a', '2026-11-28 23:11:06.935456', '2026-11-28 23:11:08.200944', 33, 16, 0, 0, 452000000, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246d3bcb7536979a2af35d3b5bf3', '01a2246cf4c974959d19b3c9994c1bfb', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246d3bcc70e4b7d1517121a3ed7d', '2026-11-28 23:11:08.235726', '2026-11-28 23:11:08.236131', 0, 0, 0, 0, 0, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246d3f5c743989a7280c9db4d2d3', '01a2246cf4c974959d19b3c9994c1bfb', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246d3f68778b83ae3c4851cb42f5', '2026-11-28 23:11:09.148728', '2026-11-28 23:11:09.160260', 11, 7, 0, 0, 184000000, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246d410e7680b6fa2fa3bbebf599', '01a2246cf4c974959d19b3c9994c1bfb', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246d4be6741ba34c5b5ec8ec27d2', '2026-11-28 23:11:09.582849', '2026-11-28 23:11:12.358105', 132, 84, 0, 0, 2208000000, '{}', 0, '{}');
INSERT INTO conversations VALUES ('01a2246d4dbe736d85d0d7f1d097c38e', '01a2246cf4c974959d19b3c9994c1bfb', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246d4dbf7208aaab0db8f43a5784', '2026-11-28 23:11:12.830442', '2026-11-28 23:11:12.831145', 0, 0, 0, 0, 0, '{}', 0, '{"client":[{"name":"read_page","description":"Reads the page.","input_schema":{"type":"object"}}]}');
INSERT INTO conversations VALUES ('01a2246d4fe074a598b30409e3db73b1', '01a2246cf4c974959d19b3c9994c1bfb', NULL, NULL, 'claude-opus-5-5', 0, 0, '01a2246d501f720e89ef1f5bb9940a73', '2026-11-28 23:11:13.377063', '2026-11-28 23:11:13.439381', 0, 0, 0, 0, 0, '{}', 0, '{}');
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
INSERT INTO messages VALUES ('01a2246d36b772d38491c6cc45f768af', '01a2246d36b772d38491c6cbceff47f7', NULL, 'user', 0, '[{"type":"text","text":"Where shall I go?"}]', '2026-11-28 23:11:06.935827');
INSERT INTO messages VALUES ('01a2246d36b8772a859874f39f88b65d', '01a2246d36b772d38491c6cbceff47f7', '01a2246d36b772d38491c6cc45f768af', 'assistant', 1, '[{"type":"thinking","thinking":"The sea, perhaps.","signature":"c2lnbmVk"},{"type":"text","text":"Lisbon is lovely 👋"}]', '2026-11-28 23:11:06.936163');
INSERT INTO messages VALUES ('01a2246d3b487366a652b27fcfc27e08', '01a2246d36b772d38491c6cbceff47f7', '01a2246d36b8772a859874f39f88b65d', 'user', 2, '[{"type":"text","text":"And in winter?"}]', '2026-11-28 23:11:08.104108');
INSERT INTO messages VALUES ('01a2246d3b5074b78999ef23650d818b', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3b487366a652b27fcfc27e08', 'assistant', 3, '[{"type":"text","text":"Then the","partial":true}]', '2026-11-28 23:11:08.112788');
INSERT INTO messages VALUES ('01a2246d3ba872139d5e4584ec9b4d6b', '01a2246d36b772d38491c6cbceff47f7', '01a2246d36b8772a859874f39f88b65d', 'user', 2, '[{"type":"text","text":"And in summer?"}]', '2026-11-28 23:11:08.200143');
INSERT INTO messages VALUES ('01a2246d3ba872139d5e45855660f77a', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3ba872139d5e4584ec9b4d6b', 'assistant', 3, '[{"type":"text","text":"Porto has a breeze"}]', '2026-11-28 23:11:08.200944');
INSERT INTO messages VALUES ('01a2246d3bcb7536979a2af4d6afd5b1', '01a2246d3bcb7536979a2af35d3b5bf3', NULL, 'user', 0, '[{"type":"text","text":"What is wrong?"}]', '2026-11-28 23:11:08.235924');
INSERT INTO messages VALUES ('01a2246d3bcc70e4b7d1517121a3ed7d', '01a2246d3bcb7536979a2af35d3b5bf3', '01a2246d3bcb7536979a2af4d6afd5b1', 'assistant', 1, '[]', '2026-11-28 23:11:08.236131');
INSERT INTO messages VALUES ('01a2246d3f6776f693dc0bcac44d63f1', '01a2246d3f5c743989a7280c9db4d2d3', NULL, 'user', 0, '[{"type":"document","source":{"type":"attachment","attachment_id":"01a2246d-3f50-7425-9712-ebe1fbeef67b","media_type":"application/pdf","pages":1},"title":"report.pdf","citations":{"enabled":true}},{"type":"text","text":"What does it say?"}]', '2026-11-28 23:11:09.159930');
INSERT INTO messages VALUES ('01a2246d3f68778b83ae3c4851cb42f5', '01a2246d3f5c743989a7280c9db4d2d3', '01a2246d3f6776f693dc0bcac44d63f1', 'assistant', 1, '[{"type":"text","text":"It says that sales rose."}]', '2026-11-28 23:11:09.160260');
INSERT INTO messages VALUES ('01a2246d410f76308ec28a6d42987734', '01a2246d410e7680b6fa2fa3bbebf599', NULL, 'user', 0, '[{"type":"text","text":"Ask number0"}]', '2026-11-28 23:11:09.583120');
INSERT INTO messages VALUES ('01a2246d410f76308ec28a6e809920d3', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d410f76308ec28a6d42987734', 'assistant', 1, '[{"type":"text","text":"Answer number0 of v1.2.3"}]', '2026-11-28 23:11:09.583385');
INSERT INTO messages VALUES ('01a2246d422774fab5fea3079983c198', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d410f76308ec28a6e809920d3', 'user', 2, '[{"type":"text","text":"Ask number1"}]', '2026-11-28 23:11:09.863410');
INSERT INTO messages VALUES ('01a2246d423b75ca9a8df82ce94acdf7', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d422774fab5fea3079983c198', 'assistant', 3, '[{"type":"text","text":"Answer number1 of v1.2.3"}]', '2026-11-28 23:11:09.883687');
INSERT INTO messages VALUES ('01a2246d433c7160b8ade044b226aae4', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d423b75ca9a8df82ce94acdf7', 'user', 4, '[{"type":"text","text":"Ask number2"}]', '2026-11-28 23:11:10.140400');
INSERT INTO messages VALUES ('01a2246d434371eabffe42cb2d5bdcd0', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d433c7160b8ade044b226aae4', 'assistant', 5, '[{"type":"text","text":"Answer number2 of v1.2.3"}]', '2026-11-28 23:11:10.147637');
INSERT INTO messages VALUES ('01a2246d445873e1b9e19710196f0561', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d434371eabffe42cb2d5bdcd0', 'user', 6, '[{"type":"text","text":"Ask number3"}]', '2026-11-28 23:11:10.424352');
INSERT INTO messages VALUES ('01a2246d445b75d198b5aa2fde1fc6ec', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d445873e1b9e19710196f0561', 'assistant', 7, '[{"type":"text","text":"Answer number3 of v1.2.3"}]', '2026-11-28 23:11:10.427318');
INSERT INTO messages VALUES ('01a2246d44e57331bcbabe06fe690fe5', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d445b75d198b5aa2fde1fc6ec', 'user', 8, '[{"type":"text","text":"Ask number4"}]', '2026-11-28 23:11:10.565964');
INSERT INTO messages VALUES ('01a2246d44e772e4b70e04decefd458f', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d44e57331bcbabe06fe690fe5', 'assistant', 9, '[{"type":"text","text":"Answer number4 of v1.2.3"}]', '2026-11-28 23:11:10.567266');
INSERT INTO messages VALUES ('01a2246d458c72bb83353cafb506e9aa', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d44e772e4b70e04decefd458f', 'user', 10, '[{"type":"text","text":"Ask number5"}]', '2026-11-28 23:11:10.732772');
INSERT INTO messages VALUES ('01a2246d458d721d8e73a13db619886f', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d458c72bb83353cafb506e9aa', 'assistant', 11, '[{"type":"text","text":"Answer number5 of v1.2.3"}]', '2026-11-28 23:11:10.733624');
INSERT INTO messages VALUES ('01a2246d469070d99793fd612f1fff76', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d458d721d8e73a13db619886f', 'user', 12, '[{"type":"text","text":"Ask number6"}]', '2026-11-28 23:11:10.992510');
INSERT INTO messages VALUES ('01a2246d4691703b863dd6f02371529b', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d469070d99793fd612f1fff76', 'assistant', 13, '[{"type":"text","text":"Answer number6 of v1.2.3"}]', '2026-11-28 23:11:10.994003');
INSERT INTO messages VALUES ('01a2246d47ac7070a6fc622985e67aba', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4691703b863dd6f02371529b', 'user', 14, '[{"type":"text","text":"Ask number7"}]', '2026-11-28 23:11:11.276313');
INSERT INTO messages VALUES ('01a2246d47ad768c8aabd1050f6fb5b1', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d47ac7070a6fc622985e67aba', 'assistant', 15, '[{"type":"text","text":"Answer number7 of v1.2.3"}]', '2026-11-28 23:11:11.277660');
INSERT INTO messages VALUES ('01a2246d48d176f7bc97b675361d4dcb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d47ad768c8aabd1050f6fb5b1', 'user', 16, '[{"type":"text","text":"Ask number8"}]', '2026-11-28 23:11:11.569410');
INSERT INTO messages VALUES ('01a2246d48d775e7884ece320dd4a9b9', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d48d176f7bc97b675361d4dcb', 'assistant', 17, '[{"type":"text","text":"Answer number8 of v1.2.3"}]', '2026-11-28 23:11:11.575845');
INSERT INTO messages VALUES ('01a2246d49f27082a0a8797acbfb9184', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d48d775e7884ece320dd4a9b9', 'user', 18, '[{"type":"text","text":"Ask number9"}]', '2026-11-28 23:11:11.858721');
INSERT INTO messages VALUES ('01a2246d49fa746ebfaffdccec2e95f1', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d49f27082a0a8797acbfb9184', 'assistant', 19, '[{"type":"text","text":"Answer number9 of v1.2.3"}]', '2026-11-28 23:11:11.866444');
INSERT INTO messages VALUES ('01a2246d4b26739f8963fd7a9e8463f8', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d49fa746ebfaffdccec2e95f1', 'user', 20, '[{"type":"text","text":"Ask number10"}]', '2026-11-28 23:11:12.166193');
INSERT INTO messages VALUES ('01a2246d4b2b74daad157e66de30170c', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4b26739f8963fd7a9e8463f8', 'assistant', 21, '[{"type":"text","text":"Answer number10 of v1.2.3"}]', '2026-11-28 23:11:12.171891');
INSERT INTO messages VALUES ('01a2246d4be476479e605699d7deea36', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4b2b74daad157e66de30170c', 'user', 22, '[{"type":"text","text":"Ask number11"}]', '2026-11-28 23:11:12.356585');
INSERT INTO messages VALUES ('01a2246d4be6741ba34c5b5ec8ec27d2', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4be476479e605699d7deea36', 'assistant', 23, '[{"type":"text","text":"Answer number11 of v1.2.3"}]', '2026-11-28 23:11:12.358105');
INSERT INTO messages VALUES ('01a2246d4dbe736d85d0d7f2bdffb047', '01a2246d4dbe736d85d0d7f1d097c38e', NULL, 'user', 0, '[{"type":"text","text":"Read it"}]', '2026-11-28 23:11:12.830815');
INSERT INTO messages VALUES ('01a2246d4dbf7208aaab0db8f43a5784', '01a2246d4dbe736d85d0d7f1d097c38e', '01a2246d4dbe736d85d0d7f2bdffb047', 'assistant', 1, '[{"type":"tool_use","id":"toolu_158c245ecc104fba87e3051426daefac","name":"read_page","input":{}}]', '2026-11-28 23:11:12.831145');
INSERT INTO messages VALUES ('01a2246d4fe176b0a5adbedb6fb45344', '01a2246d4fe074a598b30409e3db73b1', NULL, 'user', 0, '[{"type":"text","text":"Tell me all"}]', '2026-11-28 23:11:13.377387');
INSERT INTO messages VALUES ('01a2246d4fe176b0a5adbedcaaf64230', '01a2246d4fe074a598b30409e3db73b1', '01a2246d4fe176b0a5adbedb6fb45344', 'assistant', 1, '[{"type":"text","text":"Half of it","partial":true}]', '2026-11-28 23:11:13.377763');
INSERT INTO messages VALUES ('01a2246d501d7528a9ad6eaf6c993d57', '01a2246d4fe074a598b30409e3db73b1', '01a2246d4fe176b0a5adbedcaaf64230', 'user', 2, '[{"type":"text","text":"And then?"}]', '2026-11-28 23:11:13.437931');
INSERT INTO messages VALUES ('01a2246d501f720e89ef1f5bb9940a73', '01a2246d4fe074a598b30409e3db73b1', '01a2246d501d7528a9ad6eaf6c993d57', 'assistant', 3, '[]', '2026-11-28 23:11:13.439381');
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
INSERT INTO idempotency_keys VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 'f17489e0-78f1-40e8-b3a8-477f5811f900', '2b5662fc8656ca42759918b2c923587d4828c03d0632f17d33d9c98fb56e243f', '01a2246d36b8772a859874f44398d437', '2026-11-28 23:11:07.036454');
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
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE, 
	UNIQUE (message_id), 
	FOREIGN KEY(conversation_id) REFERENCES conversations (id) ON DELETE CASCADE
);
INSERT INTO generations VALUES ('01a2246d36b8772a859874f44398d437', '01a2246d36b772d38491c6cbceff47f7', '01a2246d36b8772a859874f39f88b65d', 'completed', 'claude-opus-5-5', '{}', 8, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:06.936308', '2026-11-28 23:11:06.975943', '2026-11-28 23:11:07.750287', '2026-11-28 23:11:07.855693', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:17.313268', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d3b5074b78999ef24429dea11', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3b5074b78999ef23650d818b', 'stopped', 'claude-opus-5-5', '{}', 4, NULL, 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 2, NULL, NULL, '2026-11-28 23:11:08.113046', '2026-11-28 23:11:08.115296', '2026-11-28 23:11:08.136315', '2026-11-28 23:11:08.178612', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:18.115415', 0, NULL, 84000000, '{"thinking_of_another_prefix":1}', NULL, 12, NULL);
INSERT INTO generations VALUES ('01a2246d3ba9766eaaa8f81278fe5092', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3ba872139d5e45855660f77a', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '3e93d4ae01f232f62f47f3e08e326ea6', 11, 7, NULL, NULL, '2026-11-28 23:11:08.201081', '2026-11-28 23:11:08.202357', '2026-11-28 23:11:08.212863', '2026-11-28 23:11:08.215539', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:18.202432', 0, NULL, 184000000, '{"thinking_of_another_prefix":1}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d3bcc70e4b7d15172876955a2', '01a2246d3bcb7536979a2af35d3b5bf3', '01a2246d3bcc70e4b7d1517121a3ed7d', 'failed', 'claude-opus-5-5', '{}', 2, NULL, '{"code":"invalid_request_error","message":"no","request_id":"req_scripted","retry_after_seconds":null}', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', NULL, NULL, NULL, NULL, '2026-11-28 23:11:08.236250', '2026-11-28 23:11:08.237990', NULL, '2026-11-28 23:11:08.425494', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:18.413437', 0, NULL, 0, '{}', NULL, 0, NULL);
INSERT INTO generations VALUES ('01a2246d3f68778b83ae3c49c49dbc8f', '01a2246d3f5c743989a7280c9db4d2d3', '01a2246d3f68778b83ae3c4851cb42f5', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:09.160435', '2026-11-28 23:11:09.169945', '2026-11-28 23:11:09.475448', '2026-11-28 23:11:09.487369', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:19.425038', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d410f76308ec28a6f13eb4ee8', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d410f76308ec28a6e809920d3', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:09.583549', '2026-11-28 23:11:09.585346', '2026-11-28 23:11:09.595068', '2026-11-28 23:11:09.619616', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:19.585427', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d423b75ca9a8df82d7ff02df3', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d423b75ca9a8df82ce94acdf7', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:09.883882', '2026-11-28 23:11:09.893795', '2026-11-28 23:11:09.918757', '2026-11-28 23:11:09.940432', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:19.893883', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d434371eabffe42cc8b4d0907', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d434371eabffe42cb2d5bdcd0', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:10.147853', '2026-11-28 23:11:10.187901', '2026-11-28 23:11:10.263731', '2026-11-28 23:11:10.270449', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:20.187996', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d445b75d198b5aa3086e4c0c6', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d445b75d198b5aa2fde1fc6ec', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:10.427465', '2026-11-28 23:11:10.435319', '2026-11-28 23:11:10.465470', '2026-11-28 23:11:10.475514', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:20.435406', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d44e772e4b70e04df8154a18c', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d44e772e4b70e04decefd458f', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:10.567411', '2026-11-28 23:11:10.571302', '2026-11-28 23:11:10.608754', '2026-11-28 23:11:10.622807', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:20.571383', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d458d721d8e73a13e8cd646f1', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d458d721d8e73a13db619886f', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:10.733778', '2026-11-28 23:11:10.735073', '2026-11-28 23:11:10.821675', '2026-11-28 23:11:10.895514', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:20.735148', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d469271e7bd05b614c8d198c3', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4691703b863dd6f02371529b', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:10.994214', '2026-11-28 23:11:11.009128', '2026-11-28 23:11:11.067704', '2026-11-28 23:11:11.084740', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:21.009232', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d47ad768c8aabd106581e9586', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d47ad768c8aabd1050f6fb5b1', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:11.277853', '2026-11-28 23:11:11.287927', '2026-11-28 23:11:11.372196', '2026-11-28 23:11:11.381882', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:21.288022', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d48d870178a47135ece41ff7b', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d48d775e7884ece320dd4a9b9', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:11.576066', '2026-11-28 23:11:11.583564', '2026-11-28 23:11:11.641820', '2026-11-28 23:11:11.648257', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:21.583688', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d4a05751187cf7d62e9c18835', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d49fa746ebfaffdccec2e95f1', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:11.878143', '2026-11-28 23:11:11.884168', '2026-11-28 23:11:11.960901', '2026-11-28 23:11:11.971720', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:21.884315', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d4b2c706e98dc9829c31d31dc', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4b2b74daad157e66de30170c', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:12.172108', '2026-11-28 23:11:12.183837', '2026-11-28 23:11:12.247700', '2026-11-28 23:11:12.255145', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:22.183940', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d4be6741ba34c5b5fe5b92f3a', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4be6741ba34c5b5ec8ec27d2', 'completed', 'claude-opus-5-5', '{}', 5, 'end_turn', 'null', 'req_scripted', '276a7d0e142fbde25d40b8738bb3b030', 11, 7, NULL, NULL, '2026-11-28 23:11:12.358305', '2026-11-28 23:11:12.363478', '2026-11-28 23:11:12.414167', '2026-11-28 23:11:12.428177', 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:22.363572', 0, NULL, 184000000, '{}', NULL, 18, NULL);
INSERT INTO generations VALUES ('01a2246d4dbf7208aaab0db99125d305', '01a2246d4dbe736d85d0d7f1d097c38e', '01a2246d4dbf7208aaab0db8f43a5784', 'awaiting_tool_results', 'claude-opus-5-5', '{}', 5, 'tool_use', 'null', NULL, 'cd1f9bbca5a8d8df17d48592dc59f1e4', 11, 7, NULL, NULL, '2026-11-28 23:11:12.831318', '2026-11-28 23:11:12.833850', NULL, NULL, NULL, NULL, 0, NULL, 184000000, '{}', NULL, NULL, '2026-11-29 00:11:13.103161');
INSERT INTO generations VALUES ('01a2246d4fe176b0a5adbedd89105c1c', '01a2246d4fe074a598b30409e3db73b1', '01a2246d4fe176b0a5adbedcaaf64230', 'running', 'claude-opus-5-5', '{}', 3, NULL, 'null', NULL, '276a7d0e142fbde25d40b8738bb3b030', 11, 3, NULL, NULL, '2026-11-28 23:11:13.377958', '2026-11-28 23:11:13.400692', '2026-11-28 23:11:13.414381', NULL, 'ccd1e48a961349e7abbdac8e46849e4b', '2026-11-28 23:11:23.472138', 0, NULL, NULL, '{}', 640065000000, NULL, NULL);
INSERT INTO generations VALUES ('01a2246d501f720e89ef1f5c5d531c4d', '01a2246d4fe074a598b30409e3db73b1', '01a2246d501f720e89ef1f5bb9940a73', 'queued', 'claude-opus-5-5', '{}', 0, NULL, 'null', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-28 23:11:13.439590', NULL, NULL, NULL, NULL, NULL, 0, '01a2246d4fe176b0a5adbedd89105c1c', NULL, '{}', NULL, NULL, NULL);
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
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 1, 'created', '01a2246d36b772d38491c6cbceff47f7', NULL, '2026-11-28 23:11:07.049462');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 2, 'generation_started', '01a2246d36b772d38491c6cbceff47f7', '01a2246d36b8772a859874f44398d437', '2026-11-28 23:11:07.049462');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 3, 'generation_ended', '01a2246d36b772d38491c6cbceff47f7', '01a2246d36b8772a859874f44398d437', '2026-11-28 23:11:07.895160');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 4, 'updated', '01a2246d36b772d38491c6cbceff47f7', NULL, '2026-11-28 23:11:08.052549');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 5, 'generation_started', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3b5074b78999ef24429dea11', '2026-11-28 23:11:08.121694');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 6, 'generation_ended', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3b5074b78999ef24429dea11', '2026-11-28 23:11:08.181693');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 7, 'generation_started', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3ba9766eaaa8f81278fe5092', '2026-11-28 23:11:08.205501');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 8, 'generation_ended', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3ba9766eaaa8f81278fe5092', '2026-11-28 23:11:08.220069');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 9, 'created', '01a2246d3bcb7536979a2af35d3b5bf3', NULL, '2026-11-28 23:11:08.242649');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 10, 'generation_started', '01a2246d3bcb7536979a2af35d3b5bf3', '01a2246d3bcc70e4b7d15172876955a2', '2026-11-28 23:11:08.242649');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 11, 'generation_ended', '01a2246d3bcb7536979a2af35d3b5bf3', '01a2246d3bcc70e4b7d15172876955a2', '2026-11-28 23:11:08.427525');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 12, 'created', '01a2246d3f5c743989a7280c9db4d2d3', NULL, '2026-11-28 23:11:09.313287');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 13, 'generation_started', '01a2246d3f5c743989a7280c9db4d2d3', '01a2246d3f68778b83ae3c49c49dbc8f', '2026-11-28 23:11:09.313287');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 14, 'generation_ended', '01a2246d3f5c743989a7280c9db4d2d3', '01a2246d3f68778b83ae3c49c49dbc8f', '2026-11-28 23:11:09.495026');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 15, 'created', '01a2246d410e7680b6fa2fa3bbebf599', NULL, '2026-11-28 23:11:09.589572');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 16, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d410f76308ec28a6f13eb4ee8', '2026-11-28 23:11:09.589572');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 17, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d410f76308ec28a6f13eb4ee8', '2026-11-28 23:11:09.653855');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 18, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d423b75ca9a8df82d7ff02df3', '2026-11-28 23:11:09.904581');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 19, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d423b75ca9a8df82d7ff02df3', '2026-11-28 23:11:10.030016');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 20, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d434371eabffe42cc8b4d0907', '2026-11-28 23:11:10.229272');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 21, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d434371eabffe42cc8b4d0907', '2026-11-28 23:11:10.313938');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 22, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d445b75d198b5aa3086e4c0c6', '2026-11-28 23:11:10.454999');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 23, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d445b75d198b5aa3086e4c0c6', '2026-11-28 23:11:10.497240');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 24, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d44e772e4b70e04df8154a18c', '2026-11-28 23:11:10.592611');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 25, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d44e772e4b70e04df8154a18c', '2026-11-28 23:11:10.643043');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 26, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d458d721d8e73a13e8cd646f1', '2026-11-28 23:11:10.738192');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 27, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d458d721d8e73a13e8cd646f1', '2026-11-28 23:11:10.908940');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 28, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d469271e7bd05b614c8d198c3', '2026-11-28 23:11:11.027211');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 29, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d469271e7bd05b614c8d198c3', '2026-11-28 23:11:11.102600');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 30, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d47ad768c8aabd106581e9586', '2026-11-28 23:11:11.331590');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 31, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d47ad768c8aabd106581e9586', '2026-11-28 23:11:11.395662');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 32, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d48d870178a47135ece41ff7b', '2026-11-28 23:11:11.603908');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 33, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d48d870178a47135ece41ff7b', '2026-11-28 23:11:11.662038');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 34, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4a05751187cf7d62e9c18835', '2026-11-28 23:11:11.923250');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 35, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4a05751187cf7d62e9c18835', '2026-11-28 23:11:11.987321');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 36, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4b2c706e98dc9829c31d31dc', '2026-11-28 23:11:12.204468');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 37, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4b2c706e98dc9829c31d31dc', '2026-11-28 23:11:12.295054');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 38, 'generation_started', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4be6741ba34c5b5fe5b92f3a', '2026-11-28 23:11:12.383622');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 39, 'generation_ended', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4be6741ba34c5b5fe5b92f3a', '2026-11-28 23:11:12.431976');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 40, 'created', '01a2246d4dbe736d85d0d7f1d097c38e', NULL, '2026-11-28 23:11:12.840967');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 41, 'generation_started', '01a2246d4dbe736d85d0d7f1d097c38e', '01a2246d4dbf7208aaab0db99125d305', '2026-11-28 23:11:12.840967');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 42, 'updated', '01a2246d4dbe736d85d0d7f1d097c38e', '01a2246d4dbf7208aaab0db99125d305', '2026-11-28 23:11:13.126832');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 43, 'created', '01a2246d4fe074a598b30409e3db73b1', NULL, '2026-11-28 23:11:13.408113');
INSERT INTO conversation_changes VALUES ('01a2246cf4c974959d19b3c9994c1bfb', 44, 'generation_started', '01a2246d4fe074a598b30409e3db73b1', '01a2246d4fe176b0a5adbedd89105c1c', '2026-11-28 23:11:13.408113');
CREATE VIRTUAL TABLE message_words USING fts5(id, owner, words, tokenize = 'ascii');
INSERT INTO message_words VALUES ('01a2246d36b772d38491c6cc45f768af', '01a2246cf4c974959d19b3c9994c1bfb', 'where shall i go');
INSERT INTO message_words VALUES ('01a2246d36b8772a859874f39f88b65d', '01a2246cf4c974959d19b3c9994c1bfb', 'lisbon is lovely 👋');
INSERT INTO message_words VALUES ('01a2246d3b487366a652b27fcfc27e08', '01a2246cf4c974959d19b3c9994c1bfb', 'and in winter');
INSERT INTO message_words VALUES ('01a2246d3b5074b78999ef23650d818b', '01a2246cf4c974959d19b3c9994c1bfb', 'then the');
INSERT INTO message_words VALUES ('01a2246d3ba872139d5e4584ec9b4d6b', '01a2246cf4c974959d19b3c9994c1bfb', 'and in summer');
INSERT INTO message_words VALUES ('01a2246d3ba872139d5e45855660f77a', '01a2246cf4c974959d19b3c9994c1bfb', 'porto has a breeze');
INSERT INTO message_words VALUES ('01a2246d3bcb7536979a2af4d6afd5b1', '01a2246cf4c974959d19b3c9994c1bfb', 'what is wrong');
INSERT INTO message_words VALUES ('01a2246d3f6776f693dc0bcac44d63f1', '01a2246cf4c974959d19b3c9994c1bfb', 'what does it say');
INSERT INTO message_words VALUES ('01a2246d3f68778b83ae3c4851cb42f5', '01a2246cf4c974959d19b3c9994c1bfb', 'it says that sales rose');
INSERT INTO message_words VALUES ('01a2246d410f76308ec28a6d42987734', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 0');
INSERT INTO message_words VALUES ('01a2246d410f76308ec28a6e809920d3', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 0 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d422774fab5fea3079983c198', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 1');
INSERT INTO message_words VALUES ('01a2246d423b75ca9a8df82ce94acdf7', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 1 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d433c7160b8ade044b226aae4', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 2');
INSERT INTO message_words VALUES ('01a2246d434371eabffe42cb2d5bdcd0', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 2 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d445873e1b9e19710196f0561', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 3');
INSERT INTO message_words VALUES ('01a2246d445b75d198b5aa2fde1fc6ec', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 3 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d44e57331bcbabe06fe690fe5', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 4');
INSERT INTO message_words VALUES ('01a2246d44e772e4b70e04decefd458f', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 4 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d458c72bb83353cafb506e9aa', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 5');
INSERT INTO message_words VALUES ('01a2246d458d721d8e73a13db619886f', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 5 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d469070d99793fd612f1fff76', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 6');
INSERT INTO message_words VALUES ('01a2246d4691703b863dd6f02371529b', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 6 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d47ac7070a6fc622985e67aba', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 7');
INSERT INTO message_words VALUES ('01a2246d47ad768c8aabd1050f6fb5b1', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 7 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d48d176f7bc97b675361d4dcb', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 8');
INSERT INTO message_words VALUES ('01a2246d48d775e7884ece320dd4a9b9', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 8 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d49f27082a0a8797acbfb9184', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 9');
INSERT INTO message_words VALUES ('01a2246d49fa746ebfaffdccec2e95f1', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 9 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d4b26739f8963fd7a9e8463f8', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 10');
INSERT INTO message_words VALUES ('01a2246d4b2b74daad157e66de30170c', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 10 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d4be476479e605699d7deea36', '01a2246cf4c974959d19b3c9994c1bfb', 'ask number 11');
INSERT INTO message_words VALUES ('01a2246d4be6741ba34c5b5ec8ec27d2', '01a2246cf4c974959d19b3c9994c1bfb', 'answer number 11 of v 1 2 3');
INSERT INTO message_words VALUES ('01a2246d4dbe736d85d0d7f2bdffb047', '01a2246cf4c974959d19b3c9994c1bfb', 'read it');
INSERT INTO message_words VALUES ('01a2246d4fe176b0a5adbedb6fb45344', '01a2246cf4c974959d19b3c9994c1bfb', 'tell me all');
INSERT INTO message_words VALUES ('01a2246d501d7528a9ad6eaf6c993d57', '01a2246cf4c974959d19b3c9994c1bfb', 'and then');
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
INSERT INTO calls VALUES ('01a2246d3a8777719d5fc84be114ecee', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d36b772d38491c6cbceff47f7', '01a2246d36b8772a859874f44398d437', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:07.911221', 0, 0);
INSERT INTO calls VALUES ('01a2246d3b9670ef93a988e60da51a06', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3b5074b78999ef24429dea11', 'answer', 'claude-opus-5-5', 'req_scripted', 'stopped', 11, 2, 0, 0, 0, 84000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:08.182258', 1, 0);
INSERT INTO calls VALUES ('01a2246d3bbf74fca0bb3ec70f99d326', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d36b772d38491c6cbceff47f7', '01a2246d3ba9766eaaa8f81278fe5092', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:08.222945', 0, 0);
INSERT INTO calls VALUES ('01a2246d3c8c76e783ade5e61b0704f9', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d3bcb7536979a2af35d3b5bf3', '01a2246d3bcc70e4b7d15172876955a2', 'answer', 'claude-opus-5-5', 'req_scripted', 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:11:08.427818', 0, 0);
INSERT INTO calls VALUES ('01a2246d40bf709e90fcb4d48360fd1c', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d3f5c743989a7280c9db4d2d3', '01a2246d3f68778b83ae3c49c49dbc8f', 'answer', 'claude-opus-5-5', NULL, 'failed', 0, 0, 0, 0, 0, 0, '2026-11-24', '2026-11-28', '2026-11-28 23:11:09.503000', 0, 0);
INSERT INTO calls VALUES ('01a2246d40bf709e90fcb4d59ac74fd2', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d3f5c743989a7280c9db4d2d3', '01a2246d3f68778b83ae3c49c49dbc8f', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:09.503429', 0, 0);
INSERT INTO calls VALUES ('01a2246d415a70409ce4e7655ef9d8b9', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d410f76308ec28a6f13eb4ee8', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:09.658684', 0, 0);
INSERT INTO calls VALUES ('01a2246d42d57789b4c981e71b2ac36a', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d423b75ca9a8df82d7ff02df3', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:10.036853', 0, 0);
INSERT INTO calls VALUES ('01a2246d43fd7763881c4033deb2e42c', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d434371eabffe42cc8b4d0907', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:10.333375', 0, 0);
INSERT INTO calls VALUES ('01a2246d44a276b69804af9cd3aefd03', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d445b75d198b5aa3086e4c0c6', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:10.497879', 0, 0);
INSERT INTO calls VALUES ('01a2246d453575ba899c35420b1b9f15', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d44e772e4b70e04df8154a18c', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:10.645002', 0, 0);
INSERT INTO calls VALUES ('01a2246d463d71ca942d0c1e9b90b7ce', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d458d721d8e73a13e8cd646f1', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:10.909637', 0, 0);
INSERT INTO calls VALUES ('01a2246d471271588ce13b7ebb054ac1', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d469271e7bd05b614c8d198c3', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:11.122241', 0, 0);
INSERT INTO calls VALUES ('01a2246d4830774dbe7a27c901df4fcd', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d47ad768c8aabd106581e9586', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:11.407999', 0, 0);
INSERT INTO calls VALUES ('01a2246d493776659dd7d853a8369cf7', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d48d870178a47135ece41ff7b', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:11.671016', 0, 0);
INSERT INTO calls VALUES ('01a2246d4a867265bc3fc16a95b66f97', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4a05751187cf7d62e9c18835', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:12.005924', 0, 0);
INSERT INTO calls VALUES ('01a2246d4bb275868f67880a510c2ebb', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4b2c706e98dc9829c31d31dc', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:12.302751', 0, 0);
INSERT INTO calls VALUES ('01a2246d4c3377f0aa85b384923a4d7c', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d410e7680b6fa2fa3bbebf599', '01a2246d4be6741ba34c5b5fe5b92f3a', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:12.434819', 0, 0);
INSERT INTO calls VALUES ('01a2246d4deb77f58215d55200e0d0a0', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d4dbe736d85d0d7f1d097c38e', '01a2246d4dbf7208aaab0db99125d305', 'answer', 'claude-opus-5-5', 'req_scripted', 'completed', 11, 7, 0, 0, 0, 184000000, '2026-11-24', '2026-11-28', '2026-11-28 23:11:12.875196', 0, 0);
CREATE TABLE blobs (
	id CHAR(32) NOT NULL, 
	file_id VARCHAR, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO blobs VALUES ('01a2246d3f247006b68a9bdcdea30779', NULL, '2026-11-28 23:11:09.092958');
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
INSERT INTO attachments VALUES ('01a2246d3f5074259712ebe1fbeef67b', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d3f5c743989a7280c9db4d2d3', '01a2246d3f247006b68a9bdcdea30779', 'report.pdf', 'application/pdf', 586, NULL, NULL, 1, '2026-11-28 23:11:09.136433');
CREATE TABLE sign_ins (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	rotation BIGINT NOT NULL, 
	expires_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	created_at DATETIME NOT NULL, rotated_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO sign_ins VALUES ('01a2246cf4e477d58611cd9baf9eead0', '01a2246cf4c974959d19b3c9994c1bfb', 0, '2026-12-28 23:10:50.083975', NULL, '2026-11-28 23:10:50.084240', NULL);
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
INSERT INTO personal_tokens VALUES ('01a2246d238c73648aeadb49a17629f1', '01a2246cf4c974959d19b3c9994c1bfb', 'script', 'ee81310e8b127672bef4d23b43ce0b843a681fb689d3d0c92ee398f3235fc92a', NULL, '2026-11-28 23:11:02.028395');
CREATE TABLE audit (
	id CHAR(32) NOT NULL, 
	user_id CHAR(32), 
	action VARCHAR NOT NULL, 
	address VARCHAR, 
	detail JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO audit VALUES ('01a2246cf4d17272a064e16ea5a6f235', '01a2246cf4c974959d19b3c9994c1bfb', 'registered', '127.0.0.1', '{}', '2026-11-28 23:10:50.065897');
INSERT INTO audit VALUES ('01a2246cf4e876e49a3c263368bc9d07', '01a2246cf4c974959d19b3c9994c1bfb', 'signed_in', '127.0.0.1', '{}', '2026-11-28 23:10:50.088373');
INSERT INTO audit VALUES ('01a2246d238e712a9a17476f34db0213', '01a2246cf4c974959d19b3c9994c1bfb', 'token_created', NULL, '{"token":"01a2246d-238c-7364-8aea-db49a17629f1"}', '2026-11-28 23:11:02.030382');
INSERT INTO audit VALUES ('01a2246d519474389a0af9b6efe6dec9', '01a2246cf4c974959d19b3c9994c1bfb', 'exported', '127.0.0.1', '{"conversations":"01a2246d-36b7-72d3-8491-c6cbceff47f7"}', '2026-11-28 23:11:13.812449');
INSERT INTO audit VALUES ('01a2246d51bf7476a4f81b3090c3a995', '01a2246cf4c974959d19b3c9994c1bfb', 'exported', '127.0.0.1', '{"conversations":"01a2246d-3bcb-7536-979a-2af35d3b5bf3"}', '2026-11-28 23:11:13.855755');
INSERT INTO audit VALUES ('01a2246d51d576a8b8c6a662a5249c0a', '01a2246cf4c974959d19b3c9994c1bfb', 'exported', '127.0.0.1', '{"conversations":"01a2246d-3f5c-7439-89a7-280c9db4d2d3"}', '2026-11-28 23:11:13.877990');
INSERT INTO audit VALUES ('01a2246d51e974e2bba54f3ad9b356b9', '01a2246cf4c974959d19b3c9994c1bfb', 'exported', '127.0.0.1', '{"conversations":"01a2246d-410e-7680-b6fa-2fa3bbebf599"}', '2026-11-28 23:11:13.897867');
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
INSERT INTO tool_calls VALUES ('01a2246d4e0f72b19b64dff4f5b9ff0d', '01a2246cf4c974959d19b3c9994c1bfb', '01a2246d4dbe736d85d0d7f1d097c38e', '01a2246d4dbf7208aaab0db99125d305', 'toolu_158c245ecc104fba87e3051426daefac', 'read_page', 'waiting', 0, 'null', NULL, '2026-11-28 23:11:12.911517', NULL, NULL);
CREATE TABLE spending (
	day DATE NOT NULL, 
	shard SMALLINT NOT NULL, 
	amount BIGINT NOT NULL, 
	PRIMARY KEY (day, shard)
);
INSERT INTO spending VALUES ('2026-11-28', 11, 3028000000);
CREATE TABLE reservations (
	id CHAR(32) NOT NULL, 
	owner_id CHAR(32) NOT NULL, 
	amount BIGINT NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE search_rebuilds (
	version INTEGER NOT NULL, 
	"after" CHAR(32), 
	finished BOOLEAN NOT NULL, 
	PRIMARY KEY (version)
);
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
CREATE INDEX idempotency_keys_by_generation ON idempotency_keys (generation_id);
CREATE INDEX reservations_by_owner ON reservations (owner_id);
CREATE INDEX generations_by_reservation ON generations (reserved) WHERE reserved IS NOT NULL;
CREATE UNIQUE INDEX ix_users_name_skeleton ON users (name_skeleton);
